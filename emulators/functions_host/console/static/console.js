// The status page: asks the host each second and shows what changed. Everything is set as text, nothing as HTML.
const EVERY = 1000, KEPT_LINES = 500;
const $ = (id) => document.getElementById(id);
const address = new URL(location.href);
let key = address.searchParams.get("code") ?? sessionStorage.getItem("key") ?? "";
let chosen = address.searchParams.get("instance") ?? "";
let now = null, process = null, lastLine = 0, paused = false, lastTriggers = [];

// ---- asking

class Refused extends Error {}

async function ask(path, parameters = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(parameters)}`, { headers: key ? { "x-functions-key": key } : {} });
  if (answer.status === 401) throw new Refused();
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`the host answered ${answer.status}`);
  return answer.json();
}

/** Repeat `work` until the page is closed; `wake()` of the result runs it at once. */
function repeat(work) {
  let timer = 0, running = false, again = false;
  const run = async () => {
    clearTimeout(timer);
    if (running) { again = true; return; }
    running = true;
    do {
      again = false;
      if (!paused && !document.hidden) {
        try { await work(); } catch (problem) { failed(problem); }
      }
    } while (again);
    running = false;
    timer = setTimeout(run, EVERY);
  };
  return { wake: run };
}

function failed(problem) {
  if (problem instanceof Refused) {
    if ($("key").hidden) { $("content").hidden = true; $("key").hidden = false; $("key-text").focus(); }
    $("key-problem").textContent = key ? "The host does not know this key." : "";
    health("bad", "a key is asked for");
  } else {
    health("bad", "the host does not answer");
  }
}

function health(kind, text) {
  const place = $("health");
  if (place.textContent === text) return;  // it is announced when it changes
  place.className = `health state ${kind}`;
  place.textContent = text;
}

// ---- showing

/** Build a node from data: a text, or [tag, text, class, attributes]. */
function build(part) {
  if (typeof part === "string") return document.createTextNode(part);
  const [tag, text, kind, attributes] = part;
  const node = document.createElement(tag);
  node.textContent = text;
  if (kind) node.className = kind;
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value);
  return node;
}

/** Make an existing node say what `part` says; false if it is of another kind. */
function patch(node, part) {
  if (typeof part === "string") {
    if (node.nodeType !== Node.TEXT_NODE) return false;
    if (node.data !== part) node.data = part;
    return true;
  }
  const [tag, text, kind, attributes] = part;
  if (node.nodeType !== Node.ELEMENT_NODE || node.localName !== tag) return false;
  if (node.textContent !== text) node.textContent = text;
  if (node.className !== (kind ?? "")) node.className = kind ?? "";
  for (const [name, value] of Object.entries(attributes ?? {})) if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  return true;
}

/** Fill `node` with `parts`, touching only what differs: what has the focus or is selected stays. */
function fill(node, parts) {
  const old = [...node.childNodes];
  parts.forEach((part, number) => {
    if (number >= old.length) node.append(build(part));
    else if (!patch(old[number], part)) old[number].replaceWith(build(part));
  });
  for (const rest of old.slice(parts.length)) rest.remove();
}

/** Make the children of `parent` those of `items`, in order, reusing them by key. */
function sync(parent, items, keyOf, make, update) {
  const old = new Map([...parent.children].map((child) => [child.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = keyOf(item);
    let child = old.get(name);
    if (child) old.delete(name); else { child = make(item); child.key = name; }
    update(child, item);
    if (child === place) place = place.nextElementSibling; else parent.insertBefore(child, place);
  }
  for (const child of old.values()) child.remove();
}

/** Show a table's rows; `cells` gives [class, ...parts] for each column. */
function rows(table, items, keyOf, cells, empty, chosenKey) {
  const body = table.tBodies[0], labels = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  if (!table.hasAttribute("role")) {  // narrow screens show rows as blocks, which would take the roles away
    table.setAttribute("role", "table");
    for (const cell of table.tHead.rows[0].cells) { cell.scope = "col"; cell.setAttribute("role", "columnheader"); }
    for (const group of [table.tHead, body]) group.setAttribute("role", "rowgroup");
    table.tHead.rows[0].setAttribute("role", "row");
  }
  const shown = items.length ? items : [null];
  sync(body, shown, (item) => (item === null ? "" : "=" + keyOf(item)), () => {
    const row = document.createElement("tr");
    row.setAttribute("role", "row");
    return row;
  }, (row, item) => {
    row.classList.toggle("chosen", item !== null && chosenKey !== undefined && keyOf(item) === chosenKey);
    const wanted = item === null ? [["empty", empty]] : cells(item);
    while (row.cells.length < wanted.length) row.insertCell().setAttribute("role", "cell");
    wanted.forEach(([kind, ...parts], number) => {
      const cell = row.cells[number];
      cell.className = kind;
      if (item === null) cell.colSpan = labels.length; else cell.dataset.label = labels[number];
      fill(cell, parts);
    });
  });
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const pad = (number) => String(number).padStart(2, "0");

/** An instant of the host's clock (UTC): the time, with the day unless it is today. */
function moment(text) {
  const at = new Date(text);
  const time = `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}:${pad(at.getUTCSeconds())}`;
  const today = now !== null && at.toISOString().slice(0, 10) === now.toISOString().slice(0, 10);
  return ["time", today ? time : `${MONTHS[at.getUTCMonth()]} ${at.getUTCDate()} ${time}`, "", { datetime: text, title: `${text} (UTC)` }];
}

function span(seconds) {
  const size = Math.abs(seconds);
  if (size < 100) return `${Math.round(size)} s`;
  if (size < 5400) return `${Math.round(size / 60)} min`;
  return size < 129600 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86400)} d`;
}

function relative(text) {
  const seconds = (new Date(text) - now) / 1000;
  return seconds > 0 ? `in ${span(seconds)}` : `${span(seconds)} ago`;
}

const STATES = {
  Running: "busy", Pending: "busy", ContinuedAsNew: "busy", Suspended: "warn", Completed: "good", Failed: "bad", Terminated: "bad", Canceled: "bad",
};
const LEASES = { released: "", due: "busy", "handed out": "busy", held: "warn", "used up": "bad" };
const state = (word) => ["span", word, `state ${STATES[word] ?? ""}`];
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// ---- host and functions

function showHost(host) {
  now = new Date(host.now);
  if (process !== host.process + host.started) {  // another process: its log begins anew
    process = host.process + host.started;
    lastLine = 0;
    $("lines").replaceChildren();
  }
  const kinds = { real: "real time", accelerated: `${host.clock.factor} times as fast as real time`, virtual: "virtual time" };
  $("name").textContent = host.name;
  document.title = `${host.name}: Functions host`;
  fill($("clock"), [["time", host.now.replace("T", " ").slice(0, 19) + " UTC", "mono", { datetime: host.now }], ["small", ` ${kinds[host.clock.kind]}`]]);
  fill($("about"), [`Running since `, moment(host.started), ` (${span((now - new Date(host.started)) / 1000)}), process ${host.process}, ${host.worker}, app ${host.app}`]);
}

function triggerText(item) {
  const given = item.parameters;
  switch (item.kind) {
    case "http": return `${(given.methods ?? ["any method"]).join(", ")} ${given.route}`;
    case "timer": return given.schedule;
    case "sql": return given.tableName;
    default: return "";
  }
}

function showFunctions(items) {
  rows($("functions-table"), items, (item) => item.name, (item) => {
    const last = [];
    if (item.last) {
      const word = item.last.error === null ? ["span", "succeeded", "state good"] : ["span", "failed", "state bad"];
      last.push(word, " ", moment(item.last.at), ["small", ` ${relative(item.last.at)}, ${Math.round(item.last.milliseconds)} ms`]);
      if (item.last.error !== null) last.push(["div", item.last.error, "bad"]);
    }
    return [
      ["", ["span", item.name, "mono"]],
      ["", ["small", `${item.kind} `], ["span", triggerText(item), "mono"]],
      ["number" + (item.running ? "" : " zero"), String(item.running)],
      ["number" + (item.done ? "" : " zero"), String(item.done)],
      ["number" + (item.failed ? " bad" : " zero"), String(item.failed)],
      ["", ...last],
      ["nowrap", ...(item.next ? [moment(item.next), ["small", ` ${relative(item.next)}`]] : [])],
    ];
  }, "The app has no functions.");
}

// ---- SQL triggers

function leaseParts(lease) {
  const word = ["span", lease.state, `state ${LEASES[lease.state] ?? ""}`];
  const until = lease.end === null ? [] : [moment(lease.end), ["small", ` ${relative(lease.end)}`]];
  switch (lease.state) {
    case "handed out": return [word, `, the lease runs until `, ...until];
    case "held": return [word, " by the app until ", ...until];
    case "due": return [word, lease.attempts > 0 ? ", the lease ended " : ", the hold ended ", ...until];
    case "used up": return [word, ": never handed out again"];
    default: return [word];
  }
}

function makeTrigger(item) {
  const box = document.createElement("article");
  box.className = "trigger";
  box.append(build(["h3", ""]), build(["p", "", "bad"]), build(["dl", "", "facts"]), document.createElement("table"));
  const head = box.querySelector("table").createTHead().insertRow();
  for (const label of ["Key", "Change version", "Attempt count", "State"]) head.append(build(["th", label, /version|count/.test(label) ? "number" : ""]));
  box.querySelector("table").createTBody();
  box.querySelector("table").setAttribute("aria-label", `Leases of ${item.table}`);
  return box;
}

function updateTrigger(box, item) {
  const [title, problem, facts, table] = box.children;
  fill(title, [["span", item.table], ["small", ` to ${item.function}`, "mono"]]);
  problem.textContent = item.problem ?? "";
  problem.hidden = !item.problem;
  facts.hidden = table.hidden = Boolean(item.problem);
  if (item.problem) return;
  const values = [
    ["Cursor (LastSyncVersion)", item.cursor], ["Current version", item.version], ["Unprocessed", item.unprocessed],
    ["Leases", item.leaseCount > item.leases.length ? `${item.leaseCount}, the first ${item.leases.length} below` : item.leaseCount],
    ["Lease table", item.leaseTable],
  ];
  sync(facts, values, ([label]) => label, () => {
    const pair = document.createElement("div");
    pair.append(build(["dt", ""]), build(["dd", ""]));
    return pair;
  }, (pair, [label, value]) => {
    fill(pair.children[0], [label]);
    fill(pair.children[1], [String(value)]);
    pair.children[1].classList.toggle("mono", label === "Lease table");
  });
  table.hidden = item.leases.length === 0;
  rows(table, item.leases, (lease) => JSON.stringify(lease.key), (lease) => [
    ["mono wrap", lease.key.map(([name, value]) => `${name}=${value}`).join(", ")],
    ["number", String(lease.version)],
    ["number nowrap", `${lease.attempts} of ${lease.maximum}`],
    ["", ...leaseParts(lease)],
  ], "");
}

function showTriggers(found) {
  lastTriggers = found;
  $("trigger-list").parentElement.hidden = found.length === 0;
  sync($("trigger-list"), found, (item) => item.function, makeTrigger, updateTrigger);
}

// ---- Durable

function showQueues(queues) {
  const tiles = [
    ["messages", ["message to an instance", "messages to instances"], (item) => `${item.count} × ${item.of}`],
    ["activities", ["activity waiting or running", "activities waiting or running"], (item) => `${item.name}, ${item.of}`],
    ["timers", ["timer", "timers"], (item) => `${relative(item.due)}, ${item.of}`],
    ["entityRequests", ["request to an entity", "requests to entities"], (item) => `${item.count} × ${item.of}`],
  ];
  sync($("queues"), tiles, ([name]) => name, ([name]) => {
    const tile = build(["div", "", "tile", { id: `queue-${name}` }]);
    tile.append(build(["div", ""]), build(["ul", ""]));
    return tile;
  }, (tile, [name, [one, many], text]) => {
    fill(tile.children[0], [["strong", String(queues[name].count)], ["span", queues[name].count === 1 ? one : many, "muted"]]);
    fill(tile.children[1], queues[name].waiting.map((item) => ["li", text(item)]));
  });
}

function showDurable(durable) {
  showQueues(durable.queues);
  const select = $("status"), total = Object.values(durable.counts).reduce((sum, count) => sum + count, 0);
  const statuses = { "": total, ...durable.counts };
  if (select.value && !(select.value in statuses)) statuses[select.value] = 0;
  sync(select, Object.entries(statuses), ([status]) => status, ([status]) => build(["option", "", "", { value: status }]), (option, [status, count]) => {
    const text = `${status || "all"} (${count})`;
    if (option.textContent !== text) option.textContent = text;
  });
  $("matching").textContent = durable.matching > durable.instances.length ? `the latest ${durable.instances.length} of ${durable.matching}` : "";
  rows($("instances-table"), durable.instances, (item) => item.id, (item) => [
    ["", ["button", item.id, "link mono", { type: "button", "data-instance": item.id, "aria-controls": "instance", "aria-expanded": String(item.id === chosen) }]],
    ["", item.name, ...(item.parent ? [["small", ` of ${item.parent}`]] : [])],
    ["nowrap", state(item.status)],
    ["nowrap", moment(item.created)],
    ["nowrap", moment(item.updated), ["small", ` ${relative(item.updated)}`]],
    ["mono wrap", item.custom ?? ""],
  ], total ? "No instance matches." : "No orchestration has been started.", chosen);
  rows($("entities-table"), durable.entities, (item) => item.id, (item) => [
    ["mono", item.id],
    ["mono wrap", item.exists ? item.state ?? "" : "(deleted)"],
    ["nowrap", moment(item.updated), ["small", ` ${relative(item.updated)}`]],
  ], "There are no entities.");
  $("entities-title").textContent = durable.entityCount > durable.entities.length ? `Entities, the latest ${durable.entities.length} of ${durable.entityCount}` : "Entities";
}

function showInstance(item, wanted) {
  if (wanted !== chosen) return;  // another one was chosen meanwhile
  $("instance").hidden = false;
  fill($("instance-title"), [["span", wanted, "mono"]]);
  if (item === null) {
    fill($("instance-about"), ["There is no such instance (any more)."]);
    rows($("history-table"), [], () => "", () => [], "");
    return;
  }
  const about = [item.name, " ", state(item.status), ". The events since it was started or last continued as new"];
  about.push(item.eventCount > item.events.length ? `, the last ${item.events.length} of ${item.eventCount}.` : ".");
  if (item.output !== null) about.push(["div", `Output: ${item.output}`, "mono"]);
  fill($("instance-about"), about);
  const first = item.eventCount - item.events.length;
  rows($("history-table"), item.events.map((event, number) => ({ ...event, number: first + number })), (event) => `${item.created} ${event.number} ${event.at}`, (event) => [
    ["nowrap", moment(event.at)],
    ["nowrap", ["span", event.kind, /Failed|Terminated/.test(event.kind) ? "bad" : ""]],
    ["mono", event.name ?? ""],
    ["wrap", ...(event.kind.startsWith("Timer") && event.detail ? ["due ", moment(event.detail), ["small", ` ${relative(event.detail)}`]] : [event.detail ?? ""])],
  ], "No events yet.");
}

// ---- log

const ROUTINE = /^(Executing \(|Executed \(Succeeded)/;

function lineNode(line) {
  const [first, ...rest] = line.text.split("\n");
  const node = document.createElement("div");
  node.className = `line ${line.level} ${ROUTINE.test(line.text) ? "routine" : ""}`;
  node.append(build(["time", line.at.slice(11, 23), "", { datetime: line.at, title: line.at }]), build(["span", line.level, "level"]), build(["span", line.speaker, "speaker"]));
  const text = build(["pre", first.replace(/, Id=[0-9a-f-]{36}/, "")]);
  if (rest.length) {
    const details = document.createElement("details");
    details.append(build(["summary", plural(rest.length, "more line")]), build(["pre", rest.join("\n")]));
    const both = document.createElement("div");
    both.append(text, details);
    node.append(both);
  } else {
    node.append(text);
  }
  return node;
}

function showLog(lines) {
  if (!lines.length) return;
  const box = $("lines");
  const follows = box.scrollHeight - box.scrollTop - box.clientHeight < 30;
  box.append(...lines.filter((line) => line.number > lastLine).map(lineNode));
  lastLine = Math.max(lastLine, lines[lines.length - 1].number);
  while (box.childElementCount > KEPT_LINES) box.firstElementChild.remove();
  if (follows) box.scrollTop = box.scrollHeight;
}

function showLevel() {
  $("lines").dataset.show = $("level").value;
  $("lines").scrollTop = $("lines").scrollHeight;
}

// ---- putting it together

const main = repeat(async () => {
  const before = process;
  let found = await ask("state", { status: $("status").value, text: $("text").value, after: lastLine });
  const other = before !== null && found.host.process + found.host.started !== before;
  if (other) found = await ask("state", { status: $("status").value, text: $("text").value, after: 0 });
  $("key").hidden = true;
  $("content").hidden = false;
  showHost(found.host);
  showFunctions(found.functions);
  showTriggers(lastTriggers);  // how long leases run, by the clock of this moment
  showDurable(found.durable);
  showLog(found.log);
  health("good", "live");
});
const triggers = repeat(async () => {
  if (now !== null) showTriggers(await ask("triggers"));
});
const instance = repeat(async () => {
  const wanted = chosen;
  if (wanted && now !== null) showInstance(await ask("instance", { id: wanted }), wanted);
});

function remember() {
  const url = new URL(location.href);
  url.searchParams.delete("code");
  for (const [name, value] of [["instance", chosen], ["status", $("status").value], ["text", $("text").value]]) {
    if (value) url.searchParams.set(name, value); else url.searchParams.delete(name);
  }
  history.replaceState(null, "", url);
}

async function choose(id, opener) {
  chosen = id;
  remember();
  main.wake();
  if (!id) {
    $("instance").hidden = true;
    return;
  }
  showInstance(await ask("instance", { id }), id);
  if (opener) $("instance-title").focus();
}

function close() {
  const opener = [...document.querySelectorAll("[data-instance]")].find((button) => button.dataset.instance === chosen);
  choose("");
  (opener ?? $("text")).focus();
}

$("instances-table").addEventListener("click", (event) => {
  const button = event.target.closest("[data-instance]");
  if (button) choose(button.dataset.instance === chosen ? "" : button.dataset.instance, button).catch(failed);
});
$("close").addEventListener("click", close);
$("instance").addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
$("status").addEventListener("change", () => { remember(); main.wake(); });
$("text").addEventListener("input", () => { remember(); main.wake(); });
$("level").addEventListener("change", showLevel);
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").textContent = paused ? "Resume" : "Pause";
  $("pause").setAttribute("aria-pressed", String(paused));
  if (paused) health("warn", "paused"); else wakeAll();
});
$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key-text").value.trim();
  sessionStorage.setItem("key", key);
  wakeAll();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) wakeAll(); });

function wakeAll() {
  for (const loop of [main, triggers, instance]) loop.wake();
}

if (key) sessionStorage.setItem("key", key);
const status = address.searchParams.get("status");
if (status) { $("status").append(build(["option", status, "", { value: status }])); $("status").lastElementChild.key = status; $("status").value = status; }
$("status").firstElementChild.key = "";
$("text").value = address.searchParams.get("text") ?? "";
$("level").value = "quiet";
showLevel();
remember();
main.wake();
triggers.wake();
instance.wake();
