// All relays: their state in words, how far they are behind, and how that went.

import { get } from "./api.js";
import { sparkline } from "./charts.js";
import { card, facts, h, table } from "./dom.js";
import { STATES, capital, number, relayHref, rows, sentence, span, words } from "./format.js";
import { figure, head, pill } from "./parts.js";

export const overview = {
    title: () => "Relays",
    load: (_, signal) => get(["relays"], { signal }),
    draw(data) {
        return [
            head("Relays", { sentence: summary(data.relays) }),
            Object.entries(data.away ?? {}).map(([name, problem]) =>
                h("p", { class: "note tone-bad", key: `away-${name}` }, h("strong", null, `${words(name)} is away: `), problem),
            ),
            h("ul", { class: "relays" }, worstFirst(data.relays).map(relayItem)),
            data.targets?.length ? targets(data.targets) : null,
        ];
    },
    /** What is told to those who cannot see it: changes of states alone. */
    news(before, after) {
        const known = Object.fromEntries((before?.relays ?? []).map((relay) => [relay.relay, relay.state]));
        return after.relays
            .filter((relay) => known[relay.relay] && known[relay.relay] !== relay.state)
            .map((relay) => `${relay.relay}: ${STATES[relay.state]?.label ?? relay.state}.`)
            .join(" ");
    },
};

/** Who needs somebody comes first; else they stay in their order. */
function worstFirst(relays) {
    const order = ["cannot_run", "outage", "failing", "paused", "catching_up", "ok"];
    return [...relays].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
}

function summary(relays) {
    const counts = {};
    for (const { state } of relays) counts[state] = (counts[state] ?? 0) + 1;
    const waiting = relays.reduce((sum, relay) => sum + (relay.waiting ?? 0), 0);
    const dead = relays.reduce((sum, relay) => sum + (relay.dead ?? 0), 0);
    const states = Object.entries(STATES)
        .toReversed()
        .filter(([state]) => counts[state])
        .map(([state, { label }]) => `${counts[state]} ${label.toLowerCase().replace("ok", "OK")}`);
    const waits = waiting ? `${rows(waiting)} ${waiting === 1 ? "waits" : "wait"}` : "no row waits";
    const givenUp = dead ? `${rows(dead)} ${dead === 1 ? "was" : "were"} given up` : "none was given up";
    return `${states.join(", ")}: ${waits}, and ${givenUp}.`;
}

function relayItem(relay) {
    const base = relayHref(relay.relay);
    const known = relay.waiting !== undefined;
    return h(
        "li",
        { key: relay.relay, class: `relay edge-${STATES[relay.state]?.tone ?? "info"}` },
        h(
            "div",
            { class: "relay-words" },
            h("h2", null, h("a", { href: base }, relay.relay), pill(relay.state)),
            h("p", { class: "relay-target" }, `to ${relay.target ?? "its target"}`),
            h("p", { class: "relay-sentence" }, sentence(relay.sentence ?? relay.problem)),
        ),
        known
            ? h(
                  "div",
                  { class: "relay-numbers" },
                  figure("waiting", number(relay.waiting), { href: `${base}/rows` }),
                  figure("dead", number(relay.dead), { tone: relay.dead ? "bad" : null, href: `${base}/rows?state=dead` }),
                  figure("behind", relay.lag ? `${relay.lag.at_least ? "≥ " : ""}${span(relay.lag.seconds)}` : "–"),
                  sparkline(
                      relay.sparkline,
                      `Rows that wait: ${number(relay.waiting)} now, at most ${number(Math.max(0, ...(relay.sparkline ?? [])))}`,
                  ),
              )
            : null,
    );
}

function targets(all) {
    const names = [...new Set(all.flatMap((target) => Object.keys(target)))].filter((name) => name !== "target");
    const cell = (value) =>
        value === null || value === undefined
            ? "–"
            : typeof value === "object"
              ? facts(Object.entries(value).map(([name, each]) => [words(name), String(each)]))
              : String(value);
    return card(
        "Targets",
        { id: "targets" },
        table(
            "How fast each target is called, by the instance that answers",
            ["Target", ...names.map((name) => capital(words(name)))],
            all.map((target) => [target.target, ...names.map((name) => cell(target[name]))]),
        ),
    );
}
