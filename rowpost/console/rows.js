// Rows in trouble as a list: narrowed by state, reason and time, with orders for what is listed or marked.

import { get } from "./api.js";
import { card, h } from "./dom.js";
import { ROW_STATES, away, capital, keyName, number, relayHref, rowHref, time, words } from "./format.js";
import { rowOrder } from "./orders.js";
import { button, head, pill, tabs } from "./parts.js";

const FILTERS = ["state", "class", "from", "to"];
const AT_ONCE = 50;

export const rowsPage = {
    title: ({ relay, query }) => `${query.state === "dead" ? "Dead letters" : "Rows"} of ${relay}`,
    async load({ relay, query }, signal) {
        const asked = Object.fromEntries(FILTERS.map((name) => [name, query[name]]));
        const [state, found] = await Promise.all([
            get(["relays", relay], { signal }),
            get(["relays", relay, "rows"], { signal, query: { ...asked, limit: AT_ONCE, cursor: query.cursor } }),
        ]);
        return { state, found };
    },
    draw({ state, found }, context) {
        const { query } = context.params;
        const dead = query.state === "dead";
        const marked = new Map(
            found.rows.map((row) => [JSON.stringify(row.key), row.key]).filter(([text]) => context.marked.has(text)),
        );
        return [
            head(dead ? "Dead letters" : "Rows in trouble", {
                trail: [
                    ["Relays", "#/"],
                    [state.relay, relayHref(state.relay)],
                ],
                beside: pill(state.state),
                buttons: buttons(state.relay, query, marked, found, context),
            }),
            tabs(state, dead ? "Dead letters" : "Rows in trouble"),
            filters(state, query, context),
            found.rows.length
                ? list(state.relay, found.rows, context)
                : card("Nothing here", null, h("p", { class: "hint" }, nothing(query, state))),
            found.next || query.cursor
                ? h(
                      "nav",
                      { class: "pager", "aria-label": "Pages of the list" },
                      query.cursor ? h("a", { href: hrefOf(state.relay, { ...query, cursor: null }) }, "First page") : null,
                      found.next ? h("a", { href: hrefOf(state.relay, { ...query, cursor: found.next }) }, "Next page") : null,
                  )
                : null,
        ];
    },
};

function nothing(query, state) {
    if (FILTERS.some((name) => name !== "state" && query[name])) return "No row is like this.";
    if (query.state === "dead") return "No row was given up.";
    const untouched = state.waiting ? ` ${number(state.waiting)} wait for their first delivery: they have no record yet.` : "";
    return `No row is in trouble.${untouched}`;
}

function hrefOf(relay, query) {
    const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
    return `${relayHref(relay)}/rows${text ? `?${text}` : ""}`;
}

/** The body of an order: the marked rows, else what the filter lists. */
function selection(query, marked) {
    if (marked.size) return { keys: [...marked.values()] };
    const filter = {};
    for (const name of ["state", "class"]) if (query[name]) filter[name] = [query[name]];
    for (const name of ["from", "to"]) if (query[name]) filter[name] = query[name];
    return Object.keys(filter).length ? { filter } : { all: true };
}

function buttons(relay, query, marked, found, context) {
    const which =
        marked.size === 1
            ? `row ${keyName([...marked.values()][0])}`
            : marked.size
              ? `the ${marked.size} marked rows`
              : "all listed rows";
    const give = (action) => () =>
        rowOrder(action, relay, selection(query, marked), which).then((said) => {
            if (said) context.marked.clear();
            context.told(said);
        });
    const none = !found.rows.length;
    const what = marked.size ? `${marked.size} marked` : "all listed";
    return [
        button(`${query.state === "dead" ? "Replay" : "Retry"} ${what}`, give(query.state === "dead" ? "replay" : "retry"), {
            disabled: none,
        }),
        button(`Discard ${what}`, give("discard"), { disabled: none, danger: true }),
    ];
}

function filters(state, query, context) {
    const classes = [
        ...new Set(
            [...Object.keys(state.failing_by_class ?? {}), ...Object.keys(state.dead_by_class ?? {}), query.class].filter(Boolean),
        ),
    ];
    const change = (event) => {
        const form = event.currentTarget.form ?? event.currentTarget;
        const values = Object.fromEntries(new FormData(form));
        for (const name of ["from", "to"]) if (values[name]) values[name] = new Date(`${values[name]}Z`).toISOString();
        context.go(hrefOf(state.relay, values));
    };
    const select = (name, label, options) =>
        h(
            "label",
            { class: "field" },
            label,
            h(
                "select",
                { name, key: `${name}-${query[name] ?? ""}`, on: { change } },
                h("option", { value: "" }, "any"),
                options.map((option) => h("option", { value: option, selected: query[name] === option }, capital(words(option)))),
            ),
        );
    const at = (name, label) =>
        h(
            "label",
            { class: "field" },
            label,
            h("input", {
                type: "datetime-local",
                name,
                key: `${name}-${query[name] ?? ""}`,
                value: query[name]?.slice(0, 16),
                on: { change },
            }),
        );
    return h(
        "form",
        { class: "filters", role: "search", "aria-label": "Which rows", on: { submit: (event) => event.preventDefault() } },
        select("state", "State", ROW_STATES),
        select("class", "Reason", classes),
        at("from", "Failed from (UTC)"),
        at("to", "to (UTC)"),
        FILTERS.some((name) => query[name]) ? h("a", { class: "clear", href: hrefOf(state.relay, {}) }, "Show all") : null,
    );
}

function list(relay, rows, context) {
    const mark = (row) => (event) => {
        const text = JSON.stringify(row.key);
        if (event.currentTarget.checked) context.marked.add(text);
        else context.marked.delete(text);
        context.redraw();
    };
    return h(
        "div",
        { class: "card flush" },
        h(
            "ul",
            { class: "rows", "aria-label": "Rows" },
            rows.map((row) =>
                h(
                    "li",
                    { key: JSON.stringify(row.key) },
                    h("input", { type: "checkbox", "aria-label": `Mark row ${keyName(row.key)}`, on: { change: mark(row) } }),
                    h(
                        "div",
                        { class: "row-words" },
                        h(
                            "p",
                            { class: "row-key" },
                            h("a", { href: rowHref(relay, row.key) }, keyName(row.key)),
                            h("span", { class: `tag state-${row.state}` }, row.state),
                            row.operation === "delete" ? h("span", { class: "tag" }, "delete") : null,
                        ),
                        h("p", { class: "error" }, row.last_error ?? ""),
                    ),
                    h(
                        "p",
                        { class: "row-facts" },
                        h("span", null, `${capital(words(row.class))}${row.last_status ? ` ${row.last_status}` : ""}`),
                        h("span", null, `${number(row.attempts)} attempts, ${number(row.rounds)} rounds`),
                        h(
                            "span",
                            null,
                            row.state === "dead"
                                ? `given up ${time(row.last_failure)}`
                                : row.next_attempt
                                  ? `next ${away(row.next_attempt) || time(row.next_attempt)}`
                                  : `failed ${time(row.last_failure)}`,
                        ),
                    ),
                ),
            ),
        ),
    );
}
