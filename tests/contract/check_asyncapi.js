// An AsyncAPI document from standard input, through the parser of AsyncAPI; what is wrong with it goes to standard output as JSON.
// Usage: node check_asyncapi.js <node_modules>
const { Parser } = require(require('path').resolve(process.argv[2], '@asyncapi', 'parser'));
const ERROR_OR_WARNING = 1; // 2 and 3 are hints, such as that of a newer version of AsyncAPI

new Parser().parse(require('fs').readFileSync(0, 'utf8')).then(({ document, diagnostics }) => {
  const problems = diagnostics
    .filter((each) => each.severity <= ERROR_OR_WARNING)
    .map((each) => `${each.path.join('/')}: ${each.message}`);
  const operations = document ? document.operations().all().map((each) => [each.id(), each.action()]) : [];
  console.log(JSON.stringify({ problems, operations }));
});
