// An outage on one time axis: what waited, attempts, rounds, holds, the breaker, notices and orders. The table below says the same.

import { h, s, table } from "./dom.js";
import { capital, clock, number, sentence, span, time, words } from "./format.js";

// What stands on which line. Events that begin and end are bars; all others are marks.
const LANES = [
    { name: "Incident", begin: "incident_began", end: "incident_ended", tone: "bad" },
    { name: "Breaker", begin: "breaker_opened", end: "breaker_closed", tone: "warn" },
    { name: "Attempts", kinds: ["attempt"] },
    { name: "Rounds", kinds: ["round"], tone: "info" },
    { name: "Holds", holds: true, tone: "hold" },
    { name: "Notices", kinds: ["notice"], tone: "warn" },
    { name: "Orders", kinds: ["order"], tone: "accent" },
];
const ROW = 26;
const ROWS_AT_MOST = 500; // of the table
const AREA = 64; // height of the picture of what waited
const STEPS = [60, 300, 900, 1800, 3600, 7200, 21600, 43200, 86400, 172800]; // seconds between two ticks

/**
 * The picture and its table.
 * @param {object[]} events those of the API, oldest first
 * @param {{from: ?number, to: ?number, width: number, next: ?string, tabled: boolean}} options the axis in milliseconds, the width
 *   of the place for it in pixels, until when rows are held, and whether the table is made
 */
export function timeline(events, { from, to, width, next = null, tabled = true }) {
    if (!events.length) return h("p", { class: "hint" }, "Nothing happened in this time: no row failed, and nobody gave an order.");
    const start = from ?? Date.parse(events[0].at);
    const end = Math.max(to ?? Date.parse(events.at(-1).at), start + 60_000);
    const left = width < 560 ? 0 : 84;
    const x = (at) => left + ((Date.parse(at) - start) / (end - start)) * (width - left - 8);
    const held = holds(events, next, end);
    const lanes = LANES.filter((lane) =>
        lane.holds ? held.length : events.some((event) => [...(lane.kinds ?? []), lane.begin, lane.end].includes(event.kind)),
    );
    const label = left ? 0 : 18; // on a phone the names stand above their lines
    const samples = events.filter((event) => event.kind === "sample" && event.rows !== null && event.rows !== undefined);
    const top = samples.length > 1 ? AREA : 0;
    const height = top + lanes.length * (ROW + label) + 30;
    return h(
        "div",
        { class: "timeline" },
        s(
            "svg",
            { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": summary(events, start, end) },
            ticks(start, end, left, width, height),
            top ? waited(samples, x, left, width) : null,
            lanes.map((lane, index) =>
                laneOf(lane, lane.holds ? held : events, x, { y: top + 8 + index * (ROW + label) + label, left, width, end }),
            ),
        ),
        tabled ? eventsTable(events) : null,
    );
}

function eventsTable(events) {
    const listed = events.filter((event) => event.kind !== "sample").toReversed();
    const rows = listed
        .slice(0, ROWS_AT_MOST)
        .map((event) => [time(event.at), words(event.kind), sentence(event.text), event.rows ?? "", event.status ?? ""]);
    const heads = ["Time (UTC)", "What", "Text", "Rows", "Status"];
    return h(
        "details",
        null,
        h("summary", null, `The same as a table (${number(rows.length)} events)`),
        table("Events, newest first", heads, rows, { numeric: [3, 4] }),
    );
}

function summary(events, start, end) {
    const count = (kind) => events.filter((event) => event.kind === kind).length;
    const named = ["attempt", "round", "notice", "order"]
        .filter(count)
        .map((kind) => `${count(kind)} ${kind}${count(kind) === 1 ? "" : "s"}`);
    return `Timeline of ${span((end - start) / 1000)}: ${named.join(", ") || "samples only"}. The table below has each event.`;
}

function ticks(start, end, left, width, height) {
    const room = Math.max(2, Math.floor((width - left) / 90));
    const step = (STEPS.find((each) => (end - start) / 1000 / each <= room) ?? STEPS.at(-1)) * 1000;
    const made = [];
    for (let at = Math.ceil(start / step) * step; at <= end; at += step) {
        const x = (left + ((at - start) / (end - start)) * (width - left - 8)).toFixed(1);
        const place = x > width - 28 ? "end" : "middle"; // the last one would be cut
        const text =
            step >= 86_400_000 || at % 86_400_000 === 0
                ? new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" })
                : clock(at).slice(0, 5);
        made.push(
            s("line", { class: "grid", x1: x, x2: x, y1: 0, y2: height - 22 }),
            s("text", { class: `tick ${place}`, x: place === "end" ? width : x, y: height - 6 }, text),
        );
    }
    return made;
}

function waited(samples, x, left, width) {
    const base = s("line", { class: "axis", x1: left, x2: width - 8, y1: AREA - 4, y2: AREA - 4 });
    const name = left ? s("text", { class: "lane", x: 0, y: AREA - 26 }, "Waiting") : null;
    const top = Math.max(1, ...samples.map((sample) => sample.rows));
    const line = samples
        .map((sample) => `${x(sample.at).toFixed(1)},${(AREA - 4 - (sample.rows / top) * (AREA - 22)).toFixed(1)}`)
        .join(" ");
    return [
        s("polygon", {
            class: "spark-area",
            points: `${x(samples[0].at).toFixed(1)},${AREA - 4} ${line} ${x(samples.at(-1).at).toFixed(1)},${AREA - 4}`,
        }),
        s("polyline", { class: "spark-line", points: line }),
        base,
        name,
        s("text", { class: "tick", x: left + 2, y: 11 }, `at most ${number(top)} waiting`),
    ];
}

function laneOf(lane, events, x, { y, left, width, end }) {
    const middle = y + ROW / 2;
    const name = s("text", { class: "lane", x: 0, y: left ? middle + 4 : y + 1 }, lane.name);
    const line = s("line", { class: "lane-line", x1: left, x2: width - 8, y1: middle, y2: middle });
    const drawn = lane.holds
        ? events.map(([start, stop]) => bar(lane, x(start), x(stop) - 2, middle, `Held from ${time(start)} to ${time(stop)}`))
        : lane.begin
          ? bars(lane, events, x, middle, end, left)
          : marks(lane, events, x, middle);
    return s("g", null, line, name, drawn);
}

/** From when to when rows waited for their next round: after each failure, until the next one of recovery or the next attempt. */
function holds(events, next, end) {
    const failures = events.filter((event) => event.kind === "attempt" || event.kind === "round");
    const found = [];
    failures.forEach((event, index) => {
        const after = failures[index + 1];
        if (after?.kind === "round") found.push([event.at, after.at]);
        else if (!after && next)
            found.push([event.at, new Date(Math.min(Math.max(Date.parse(next), Date.parse(event.at)), end)).toISOString()]);
    });
    return found;
}

function bar(lane, from, to, middle, title) {
    return s(
        "rect",
        {
            class: `tone-${lane.tone}`,
            x: from.toFixed(1),
            y: middle - 5,
            width: Math.max(3, to - from).toFixed(1),
            height: 10,
            rx: 3,
        },
        s("title", null, title),
    );
}

/** From each beginning to the next end; what has not ended goes on to the right edge. */
function bars(lane, events, x, middle, end, left) {
    const made = [];
    let open = null;
    const add = (from, to, event) => made.push(bar(lane, from, to, middle, `${time(event.at)}: ${event.text}`));
    for (const event of events) {
        if (event.kind === lane.begin) open ??= event;
        else if (event.kind === lane.end) {
            add(open ? x(open.at) : left, x(event.at), open ?? event);
            open = null;
        }
    }
    if (open) add(x(open.at), x(new Date(end).toISOString()), open);
    return made;
}

function marks(lane, events, x, middle) {
    return events
        .filter((event) => lane.kinds.includes(event.kind))
        .map((event) => {
            const at = x(event.at);
            const title = s("title", null, `${time(event.at)}: ${capital(event.text ?? words(event.kind))}`);
            if (event.kind === "attempt") {
                const tone = event.status >= 200 && event.status < 300 ? "good" : "bad";
                return s("rect", { class: `tone-${tone}`, x: (at - 1).toFixed(1), y: middle - 8, width: 2, height: 16 }, title);
            }
            if (event.kind === "notice" || event.kind === "order") {
                return s("path", { class: `tone-${lane.tone}`, d: `M${at.toFixed(1)} ${middle - 7}l7 7l-7 7l-7 -7z` }, title);
            }
            return s("circle", { class: `tone-${lane.tone}`, cx: at.toFixed(1), cy: middle, r: 4.5 }, title);
        });
}
