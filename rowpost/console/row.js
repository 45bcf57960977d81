// One row: why is it not delivered? One sentence first, then every fact.

import { ADMINISTER, get, rememberKey, rowRequest } from "./api.js";
import { card, facts, h, table } from "./dom.js";
import { keyName, now, plain, relayHref, sentence, time, when, words } from "./format.js";
import { rowOrder } from "./orders.js";
import { button, head } from "./parts.js";
import { timeline } from "./timeline.js";

export const row = {
    title: ({ relay, key }) => `Row ${short(key)} of ${relay}`,
    async load({ relay, key }, signal) {
        const { path, query } = rowRequest(relay, key, false);
        if (now() === null) await get(["relays", relay], { signal }); // it tells the time by the database's clock
        return get(path, { signal, query, exact: true });
    },
    draw(story, context) {
        const { relay } = context.params;
        const name = keyName(story.key);
        return [
            head(`Row ${name}`, {
                trail: [
                    ["Relays", "#/"],
                    [relay, relayHref(relay)],
                    ["Rows", `${relayHref(relay)}/rows`],
                ],
                sentence: h("strong", { id: "why" }, sentence(story.sentence)),
                buttons: buttons(story, relay, name, context),
            }),
            story.filtered ? h("p", { class: "note tone-info" }, story.filtered) : null,
            card(
                "Facts",
                { id: "facts" },
                facts([
                    ...(story.facts ?? []).map(({ name: fact, text }) => [fact, sentence(text)]),
                    ["Next try", when(story.next_try)],
                ]),
            ),
            attempts(story, context),
            record(story),
            request(story, context),
        ];
    },
};

function short(text) {
    return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

function buttons(story, relay, name, context) {
    const give = (action) => () => rowOrder(action, relay, { keys: [story.key] }, `row ${name}`).then(context.told);
    if (!story.record) return [];
    const dead = story.record.state === "dead";
    return [
        dead ? button("Replay", give("replay")) : button("Retry", give("retry")),
        button("Discard", give("discard"), { danger: true }),
    ];
}

function attempts(story, context) {
    const list = story.attempts ?? [];
    if (!list.length) return card("Attempts", null, h("p", { class: "hint" }, "No attempt is kept."));
    const sorted = [...list].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
    const events = sorted.map((attempt) => ({ ...attempt, kind: "attempt", text: attempt.error ?? `status ${attempt.status}` }));
    return card(
        "Attempts",
        { id: "attempts" },
        sorted.length > 1
            ? timeline(events, {
                  from: Date.parse(sorted[0].at) - 60_000,
                  to: Date.parse(sorted.at(-1).at) + 60_000,
                  width: context.width,
                  tabled: false, // the one that follows has more of each
              })
            : null,
        table(
            "Attempts, newest first",
            ["Time (UTC)", "Status", "Answer", "Class", "Took", "By", "Version", "Trace"],
            sorted
                .toReversed()
                .map((attempt) => [
                    time(attempt.at),
                    attempt.status ?? "–",
                    attempt.error ?? "accepted",
                    words(attempt.class),
                    attempt.milliseconds === null || attempt.milliseconds === undefined ? "–" : `${attempt.milliseconds} ms`,
                    attempt.by ?? "–",
                    plain(attempt.version ?? null),
                    attempt.trace ? h("code", { class: "trace", title: attempt.trace }, attempt.trace) : "–",
                ]),
            { numeric: [1, 4, 6] },
        ),
    );
}

function record(story) {
    const all = (object) =>
        Object.entries(object ?? {})
            .filter(([name]) => name !== "key")
            .map(([name, value]) => [words(name), text(name, value)]);
    if (!story.record && !story.lease) return null;
    return h(
        "div",
        { class: "pair" },
        story.record ? card("Record in the ledger", null, facts(all(story.record))) : null,
        story.lease ? card("Lease of the trigger", null, facts(all(story.lease))) : null,
    );
}

function text(name, value) {
    if (value === null || value === undefined) return null;
    return typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value) ? time(value) : plain(value);
}

function request(story, context) {
    const sent = context.values ?? story.would_send;
    if (!sent) return null;
    return card(
        "What would be sent now",
        { id: "would-send", beside: context.values ? null : button("Show the values", () => showValues(context)) },
        h("p", { class: "request" }, h("strong", null, sent.method), " ", h("code", null, sent.url)),
        facts(
            Object.entries(sent.headers ?? {}).map(([name, value]) => [name, plain(value)]),
            { class: "facts headers" },
        ),
        sent.body === null || sent.body === undefined
            ? h("p", { class: "hint" }, "It has no body.")
            : h(
                  "pre",
                  { tabindex: "0", role: "region", "aria-label": "Body" },
                  typeof sent.body === "string" ? sent.body : JSON.stringify(sent.body, null, 2),
              ),
        context.valuesProblem
            ? valuesForm(context)
            : context.values
              ? null
              : h("p", { class: "hint" }, "Values of columns are hidden. A key of level administer shows them."),
    );
}

async function showValues(context) {
    const { path, query } = rowRequest(context.params.relay, context.params.key, true);
    try {
        context.values = (await get(path, { query, level: ADMINISTER, exact: true })).would_send;
        context.valuesProblem = null;
    } catch (error) {
        context.valuesProblem = error;
    }
    context.redraw();
}

function valuesForm(context) {
    const problem = context.valuesProblem;
    const submit = (event) => {
        event.preventDefault();
        rememberKey(ADMINISTER, event.currentTarget.querySelector("input").value.trim());
        showValues(context);
    };
    return h(
        "form",
        { class: "ask-key", on: { submit } },
        h(
            "p",
            { class: "ask-problem", role: "alert" },
            problem.refused ? "The key of this tab may not read values." : problem.message,
        ),
        h(
            "label",
            { class: "field" },
            "Key of level administer",
            h("input", { type: "password", autocomplete: "off", required: true }),
        ),
        h("button", { type: "submit" }, "Use this key"),
    );
}
