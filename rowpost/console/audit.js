// The audit: every order that was given, by whom, and how many rows it touched.

import { get } from "./api.js";
import { card, h, table } from "./dom.js";
import { number, relayHref, time, words } from "./format.js";
import { head } from "./parts.js";

const FILTERS = ["relay", "action"];

export const audit = {
    title: () => "Audit",
    load: ({ query }, signal) =>
        get(["audit"], {
            signal,
            query: { ...Object.fromEntries(FILTERS.map((name) => [name, query[name]])), cursor: query.cursor, limit: 50 },
        }),
    draw(data, context) {
        const { query } = context.params;
        return [
            head("Audit", { sentence: "Every order, newest first. The database keeps it." }),
            filters(query, context),
            data.entries.length
                ? h(
                      "div",
                      { class: "card flush" },
                      table(
                          "Orders, newest first",
                          ["Time (UTC)", "Order", "Relay", "By", "Rows", "What was asked for", "Result"],
                          data.entries.map((entry) => [
                              time(entry.at),
                              words(entry.action),
                              entry.relay ? h("a", { href: relayHref(entry.relay) }, entry.relay) : "–",
                              entry.by ?? "–",
                              entry.rows === null || entry.rows === undefined ? "–" : number(entry.rows),
                              h("code", null, entry.request ? JSON.stringify(entry.request) : "–"),
                              words(entry.result) || "–",
                          ]),
                          { key: (index) => String(data.entries[index].id), numeric: [4] },
                      ),
                  )
                : card("Nothing here", null, h("p", { class: "hint" }, "No such order was given.")),
            data.next
                ? h(
                      "nav",
                      { class: "pager", "aria-label": "Pages of the list" },
                      h("a", { href: hrefOf({ ...query, cursor: data.next }) }, "Next page"),
                  )
                : null,
        ];
    },
};

function hrefOf(query) {
    const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
    return `#/audit${text ? `?${text}` : ""}`;
}

function filters(query, context) {
    const apply = (event) => {
        event.preventDefault();
        context.go(hrefOf(Object.fromEntries(new FormData(event.currentTarget))));
    };
    const field = (name, label) =>
        h(
            "label",
            { class: "field" },
            label,
            h("input", { type: "text", name, key: `${name}-${query[name] ?? ""}`, value: query[name], autocomplete: "off" }),
        );
    return h(
        "form",
        { class: "filters", role: "search", "aria-label": "Which orders", on: { submit: apply } },
        field("relay", "Relay"),
        field("action", "Order"),
        h("button", { type: "submit" }, "Show"),
        FILTERS.some((name) => query[name]) ? h("a", { class: "clear", href: "#/audit" }, "Show all") : null,
    );
}
