// Queries (JSON, name -> text) from standard input, through Microsoft's parser; what is wrong with each goes to standard output.
// Usage: node check_kusto.js <node_modules>
const path = require('path');
const service = path.resolve(process.argv[2], '@kusto', 'language-service-next');
require(path.join(service, 'bridge.min.js'));
require(path.join(service, 'Kusto.Language.Bridge.min.js'));

const { GlobalState, KustoCode, Symbols } = Kusto.Language;
const columns = 'TimeGenerated: datetime, SeverityLevel: int, Properties: dynamic';
const tables = {
  AppTraces: `(${columns}, Message: string)`,
  AppMetrics: '(TimeGenerated: datetime, Name: string, Sum: real, ItemCount: int, Properties: dynamic)',
  AppExceptions: `(${columns}, OuterMessage: string, ProblemId: string)`,
};
const symbols = Object.entries(tables).map(([name, schema]) => Symbols.TableSymbol.From(schema).WithName(name));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1('workspace', symbols));

const problems = {};
for (const [name, query] of Object.entries(JSON.parse(require('fs').readFileSync(0, 'utf8')))) {
  const diagnostics = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  problems[name] = [];
  for (let index = 0; index < diagnostics.Count; index++) problems[name].push(diagnostics.getItem(index).Message);
}
console.log(JSON.stringify(problems));
