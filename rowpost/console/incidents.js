// Incidents: what people were told of, since when, how it ended, and who knows of it.

import { get } from "./api.js";
import { card, facts, h } from "./dom.js";
import { capital, number, relayHref, rows, span, time, words } from "./format.js";
import { order } from "./orders.js";
import { button, head } from "./parts.js";

export const incidents = {
    title: () => "Incidents",
    load: ({ query }, signal) =>
        get(["incidents"], { signal, query: { open: query.open, relay: query.relay, cursor: query.cursor, limit: 30 } }),
    draw(data, context) {
        const { query } = context.params;
        const choice = h(
            "ul",
            { class: "choice", "aria-label": "Which incidents" },
            [
                ["All", "#/incidents", !query.open],
                ["Open", "#/incidents?open=true", query.open === "true"],
            ].map(([name, href, here]) => h("li", null, h("a", { href, "aria-current": here ? "true" : null }, name))),
        );
        return [
            head("Incidents", {
                sentence: "An incident begins when people are told that rows fail, and ends when nothing of it waits any more.",
                beside: choice,
            }),
            data.incidents.length
                ? data.incidents.map((incident) => incidentCard(incident, context))
                : card(
                      "Nothing here",
                      null,
                      h("p", { class: "hint" }, query.open ? "No incident is open." : "There was no incident."),
                  ),
            data.next
                ? h(
                      "nav",
                      { class: "pager", "aria-label": "Pages of the list" },
                      h("a", { href: `#/incidents?${new URLSearchParams({ ...query, cursor: data.next })}` }, "Next page"),
                  )
                : null,
        ];
    },
};

function incidentCard(incident, context) {
    const open = !incident.ended_at;
    const about =
        incident.about === "target"
            ? "The target takes nothing"
            : incident.about === "row"
              ? "Rows fail for their own sake"
              : capital(words(incident.about));
    const known = incident.acknowledged;
    return h(
        "article",
        { class: `card edge-${open ? (known ? "info" : "bad") : "good"}`, key: incident.id, "data-incident": incident.id },
        h(
            "div",
            { class: "card-head" },
            h(
                "h2",
                null,
                h("a", { href: relayHref(incident.relay) }, incident.relay),
                h("span", { class: `pill tone-${open ? "bad" : "good"}` }, open ? "open" : "ended"),
            ),
            open && !known
                ? button("Acknowledge", () =>
                      order({
                          title: `Acknowledge the incident of ${incident.relay}`,
                          path: ["incidents", String(incident.id), "acknowledge"],
                          counts: false,
                          button: "Acknowledge",
                          reasonName: "note",
                          reasonLabel: "Note (may be empty)",
                          explain: "Reminders of this incident stop. Delivery goes on as before, and people are told of its end.",
                          about: `${rows(incident.rows)} at present.`,
                          done: () => "The incident is acknowledged.",
                      }).then(context.told),
                  )
                : null,
        ),
        h("p", null, `${about}.`),
        incident.error ? h("p", { class: "error" }, incident.error) : null,
        facts([
            ["Since", time(incident.since)],
            ["People told", incident.told_at && time(incident.told_at)],
            ["Ended", incident.ended_at && time(incident.ended_at)],
            ["Lasted", incident.ended_at && span((Date.parse(incident.ended_at) - Date.parse(incident.since)) / 1000)],
            ["Rows", number(incident.rows)],
            ["Delivered", incident.delivered === undefined ? null : number(incident.delivered)],
            ["Given up", incident.given_up === undefined ? null : number(incident.given_up)],
            ["Notices", number(incident.notices)],
            ["Acknowledged", known ? `${time(known.at)} by ${known.by ?? "somebody"}` : null],
        ]),
    );
}
