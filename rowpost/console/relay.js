// One relay: what waits and where, the last outage on a time axis, and which reasons the rows in trouble have.

import { get } from "./api.js";
import { history, placesBar } from "./charts.js";
import { card, facts, h } from "./dom.js";
import {
    STATES,
    away,
    capital,
    clock,
    keyName,
    now,
    number,
    plain,
    relayHref,
    rowHref,
    rows,
    sentence,
    span,
    time,
    when,
    words,
} from "./format.js";
import { order, rowOrder } from "./orders.js";
import { button, failed, figure, head, pill, tabs } from "./parts.js";
import { timeline } from "./timeline.js";

const SPANS = { "1h": 3600, "6h": 21600, "1d": 86400, "7d": 604800 };

const settled = (promise) =>
    promise.catch((error) => {
        if (error.name === "AbortError" || error.refused) throw error;
        return { problem: error };
    });

export const relay = {
    title: ({ relay: name }) => name,
    async load({ relay: name, query }, signal) {
        const path = ["relays", name];
        const seconds = SPANS[query.span] ?? SPANS["1d"];
        const state = await get(path, { signal }); // first: it tells the time by the database's clock
        const range = now() === null ? {} : { from: new Date(now() - seconds * 1000).toISOString() };
        const [groups, events] = await Promise.all([
            settled(get([...path, "groups"], { signal })),
            settled(get([...path, "timeline"], { signal, query: range })),
        ]);
        return { state, groups, events, seconds };
    },
    draw({ state, groups, events, seconds }, context) {
        const known = state.waiting !== undefined;
        return [
            head(state.relay, {
                trail: [["Relays", "#/"]],
                beside: pill(state.state),
                sentence: sentence(state.sentence ?? state.problem),
                buttons: known ? buttons(state, context) : [],
            }),
            tabs(state, "Overview"),
            (state.warnings ?? []).map((warning) => h("p", { class: "note tone-warn", key: warning }, warning)),
            known
                ? [
                      numbers(state),
                      card(
                          "Where the rows wait",
                          null,
                          placesBar(state, (place, text) =>
                              h("a", { href: `${relayHref(state.relay)}/rows?state=${place}` }, text),
                          ),
                      ),
                      reasons(state, groups, context),
                      axis(state, events, seconds, context),
                      card("The last hours", null, history(state.history, context.width)),
                      state.resync ? resyncCard(state.resync, state, context) : null,
                      details(state),
                  ]
                : null,
        ];
    },
    news(before, after) {
        return before && before.state.state !== after.state.state
            ? `${after.state.relay}: ${STATES[after.state.state]?.label}. ${sentence(after.state.sentence)}`
            : "";
    },
};

function buttons(state, context) {
    const name = state.relay;
    const act = (promise) => promise.then(context.told);
    const paused = Boolean(state.paused);
    return [
        button(
            "Retry",
            () =>
                act(
                    rowOrder("retry", name, { all: true }, `all rows of ${name}`, {
                        evenNone: "This touches no row that has failed. The target is called again.",
                    }),
                ),
            { disabled: !state.waiting },
        ),
        state.dead
            ? button("Replay dead letters", () => act(rowOrder("replay", name, { all: true }, `all dead letters of ${name}`)))
            : null,
        paused
            ? button("Resume", () =>
                  act(
                      order({
                          title: `Resume ${name}`,
                          explain: "Delivery goes on. What waits is delivered in its order.",
                          path: ["relays", name, "resume"],
                          counts: false,
                          bare: true,
                          about: `${rows(state.waiting)} waiting at present.`,
                          button: "Resume",
                          done: () => `${name} is resumed.`,
                      }),
                  ),
              )
            : button("Pause", () =>
                  act(
                      order({
                          title: `Pause ${name}`,
                          path: ["relays", name, "pause"],
                          counts: false,
                          button: "Pause",
                          explain: "Nothing is sent until you resume. Nothing is lost: changes wait in the database.",
                          about: `${rows(state.waiting)} waiting at present.${retentionSentence(state)}`,
                          done: () => `${name} is paused.`,
                      }),
                  ),
              ),
        button("Send the whole table", () =>
            act(
                order({
                    title: `Resync ${name}`,
                    path: ["relays", name, "resync"],
                    nearly: true,
                    reasonless: true,
                    button: "Send the whole table",
                    explain: "The present state of each row is sent, and the API removes what does not exist.",
                    done: () => "A resync is ordered.",
                }),
            ),
        ),
    ].filter(Boolean);
}

function retentionSentence(state) {
    const margin = state.retention?.margin_seconds;
    return margin === null || margin === undefined ? "" : ` The database keeps the oldest change for another ${span(margin)}.`;
}

function numbers(state) {
    const base = relayHref(state.relay);
    const margin = state.retention?.margin_seconds;
    const breaker = state.circuit_breaker;
    return h(
        "div",
        { class: "figures" },
        figure("waiting", number(state.waiting), { href: `${base}/rows` }),
        figure("dead", number(state.dead), { tone: state.dead ? "bad" : null, href: `${base}/rows?state=dead` }),
        figure("behind", state.lag ? `${state.lag.at_least ? "≥ " : ""}${span(state.lag.seconds)}` : "–"),
        figure("circuit breaker", breaker.state, { tone: breaker.state === "closed" ? null : "warn" }),
        figure("next attempt", state.next_attempt ? away(state.next_attempt, 1) || clock(state.next_attempt) : "–"),
        figure("retention margin", margin === null || margin === undefined ? "–" : span(margin), {
            tone: margin !== null && margin < 86400 && state.waiting ? "warn" : null,
        }),
    );
}

function reasons(state, groups, context) {
    const title = "Rows in trouble, by reason";
    if (groups.problem) return card(title, null, failed(groups.problem));
    if (!groups.groups.length) return card(title, null, h("p", { class: "hint" }, "No row is in trouble."));
    const list = groups.groups.map((group) => reason(state, group, context));
    return card(title, { id: "reasons" }, h("ul", { class: "reasons" }, list));
}

function reason(state, group, context) {
    const dead = group.state === "dead";
    const action = dead ? "replay" : "retry";
    const which = `${dead ? "dead letters" : "rows"} that are “${words(group.class)}”`;
    const filter = { ...(dead ? { state: ["dead"] } : {}), class: [group.class] };
    const query = new URLSearchParams(Object.entries(filter).map(([name, [value]]) => [name, value]));
    const status = group.status ? `, status ${group.status}` : "";
    const text = `${capital(words(group.class))}${status}, ${dead ? "given up" : "tried again"}, oldest ${time(group.oldest)}, such as `;
    const count = [h("strong", null, number(group.rows)), group.rows === 1 ? "row" : "rows"];
    return h(
        "li",
        { key: `${group.state}-${group.class}-${group.status}-${group.error}` },
        h("a", { class: "reason-count", href: `${relayHref(state.relay)}/rows?${query}` }, count),
        h(
            "div",
            { class: "reason-words" },
            h("p", { class: "error" }, group.error ?? "no error is known"),
            h("p", { class: "hint" }, text, h("a", { href: rowHref(state.relay, group.example) }, keyName(group.example))),
        ),
        h(
            "div",
            { class: "buttons" },
            button(capital(action), () => rowOrder(action, state.relay, { filter }, which).then(context.told)),
        ),
    );
}

function axis(state, events, seconds, context) {
    const base = relayHref(state.relay);
    const chosen = h(
        "ul",
        { class: "choice", "aria-label": "How far back" },
        Object.entries(SPANS).map(([name, each]) =>
            h("li", null, h("a", { href: `${base}?span=${name}`, "aria-current": each === seconds ? "true" : null }, name)),
        ),
    );
    if (events.problem) return card("Timeline", { beside: chosen }, failed(events.problem));
    const to = now();
    const first = events.events.length ? Date.parse(events.events[0].at) - 60_000 : null; // not much of the axis is empty
    return card(
        "Timeline",
        { beside: chosen, id: "timeline" },
        timeline(events.events, {
            from: to === null ? first : Math.max(to - seconds * 1000, first ?? 0),
            to,
            width: context.width,
            next: state.next_attempt,
        }),
    );
}

function resyncCard(resync, state, context) {
    const share = resync.share === null || resync.share === undefined ? null : Math.round(resync.share * 100);
    const runs = !resync.ended_at;
    return card(
        runs ? "A resync is under way" : "The last resync",
        {
            id: "resync",
            beside: runs
                ? button("Stop it", () =>
                      order({
                          title: `Stop the resync of ${state.relay}`,
                          method: "DELETE",
                          path: ["relays", state.relay, "resync"],
                          bare: true,
                          counts: false,
                          button: "Stop it",
                          explain: "What was sent stays sent. The API is not told to remove what does not exist.",
                          done: () => "The resync is stopped.",
                      }).then(context.told),
                  )
                : null,
        },
        share === null
            ? null
            : h(
                  "div",
                  { class: "progress" },
                  h("progress", { max: 100, value: share, "aria-label": "Share that is delivered" }),
                  h("span", null, `about ${share} %`),
              ),
        facts([
            ["State", words(resync.state)],
            ["Cause", words(resync.cause)],
            ["Reason", resync.reason],
            ["Ordered", time(resync.ordered_at)],
            ["Begun", resync.begun_at && time(resync.begun_at)],
            ["Ended", resync.ended_at && time(resync.ended_at)],
            ["Rows queued", number(resync.rows_queued)],
            ["Rows left", number(resync.rows_left)],
            ["Given up", number(resync.given_up)],
            ["Problem", resync.problem],
        ]),
    );
}

function details(state) {
    const breaker = state.circuit_breaker;
    const classes = (all) =>
        Object.entries(all ?? {})
            .map(([name, count]) => `${words(name)} ${number(count)}`)
            .join(", ");
    return card(
        "In detail",
        null,
        facts([
            ["Table", state.table],
            ["Target", state.target],
            [
                "Circuit breaker",
                breaker.state === "closed"
                    ? "closed"
                    : `${breaker.state}, opened ${number(breaker.openings)} times, until ${time(breaker.open_until)}`,
            ],
            ["Last error", state.last_error],
            ["Last status", state.last_status],
            ["Last failure", when(state.last_failure)],
            ["Round", state.round ? number(state.round) : null],
            ["Oldest failure", when(state.oldest_failure)],
            ["Next attempt", when(state.next_attempt)],
            ["Failing, by class", classes(state.failing_by_class)],
            ["Dead, by class", classes(state.dead_by_class)],
            ["Paused since", state.paused && time(state.paused.since)],
            ["Paused by", state.paused?.by],
            ["Why it is paused", state.paused?.reason],
            ["Change retention", state.retention ? `${number(state.retention.hours)} h` : null],
            ["Gap", state.gap ? `versions ${plain(state.gap.first)} to ${plain(state.gap.last)} may be lost` : null],
            [
                "Recovery",
                state.recovery
                    ? `${words(state.recovery.status)}${state.recovery.instance ? ` (${state.recovery.instance})` : ""}`
                    : null,
            ],
            ["Newest version", state.version === undefined ? null : plain(state.version)],
        ]),
    );
}
