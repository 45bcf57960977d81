// Small pictures as SVG. Each has words beside it that say the same.

import { h, s } from "./dom.js";
import { PLACES, clock, number, rows, span } from "./format.js";

/** A line of the last samples; the words beside it say what counts. */
export function sparkline(values, label) {
    if (!values || values.length < 2) return h("span", { class: "spark empty" }, "");
    const [width, height] = [120, 28];
    const top = Math.max(1, ...values);
    const x = (index) => ((index / (values.length - 1)) * (width - 2) + 1).toFixed(1);
    const y = (value) => (height - 2 - (value / top) * (height - 4)).toFixed(1);
    const line = values.map((value, index) => `${x(index)},${y(value)}`).join(" ");
    return s(
        "svg",
        { class: "spark", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, preserveAspectRatio: "none" },
        s("polygon", { class: "spark-area", points: `1,${height} ${line} ${width - 1},${height}` }),
        s("polyline", { class: "spark-line", points: line, "vector-effect": "non-scaling-stroke" }),
    );
}

/** Where the waiting rows are: one bar whose parts add up to the number that wait. */
export function placesBar(relay, href) {
    const places = Object.keys(PLACES);
    const total = relay.waiting;
    const parts = [];
    let x = 0;
    for (const place of places) {
        const width = total ? (relay[place] / total) * 1000 : 0;
        if (width)
            parts.push(
                s("rect", {
                    class: `place-${place}`,
                    x: x.toFixed(2),
                    y: 0,
                    width: Math.max(width - 2, 1).toFixed(2),
                    height: 14,
                    rx: 2,
                }),
            );
        x += width;
    }
    return h(
        "div",
        { class: "places" },
        s(
            "svg",
            { class: "places-bar", viewBox: "0 0 1000 14", preserveAspectRatio: "none", "aria-hidden": "true" },
            s("rect", { class: "places-empty", x: 0, y: 0, width: 1000, height: 14, rx: 2 }),
            parts,
        ),
        h(
            "ul",
            { class: "legend" },
            places.map((place) =>
                h(
                    "li",
                    { class: relay[place] ? null : "none" },
                    h("span", { class: `swatch place-${place}`, "aria-hidden": "true" }),
                    h("span", { class: "legend-name" }, place.replace("_", " "), h("small", null, PLACES[place])),
                    h("span", { class: "legend-count" }, number(relay[place])),
                ),
            ),
        ),
        h(
            "p",
            { class: "sum" },
            h("strong", null, rows(total)),
            " wait in all",
            relay.dead ? [", and ", href("dead", `${rows(relay.dead)} dead`)] : "",
            ".",
        ),
    );
}

/** The last hours of a relay: how many rows waited, and how old the oldest change was. */
export function history(samples, width) {
    if (!samples || samples.length < 2)
        return h("p", { class: "hint" }, "There are not enough samples yet. The watchdog takes one at each of its looks.");
    const from = Date.parse(samples[0].at);
    const to = Date.parse(samples.at(-1).at);
    const each = width > 640 ? (width - 32) / 2 : width; // side by side where there is room
    return h(
        "div",
        { class: "history" },
        strip("Rows that wait", samples, from, to, each, (sample) => sample.waiting, number),
        strip("Age of the oldest change", samples, from, to, each, (sample) => sample.lag_seconds ?? 0, span),
    );
}

function strip(title, samples, from, to, width, of, write) {
    const height = 72;
    const values = samples.map(of);
    const top = Math.max(1, ...values);
    const x = (sample) => (((Date.parse(sample.at) - from) / Math.max(1, to - from)) * width).toFixed(1);
    const y = (value) => (height - 18 - (value / top) * (height - 24)).toFixed(1);
    const line = samples.map((sample, index) => `${x(sample)},${y(values[index])}`).join(" ");
    const last = values.at(-1);
    return h(
        "figure",
        { class: "strip" },
        h("figcaption", null, title, h("strong", null, write(last)), h("small", null, `at most ${write(Math.max(...values))}`)),
        s(
            "svg",
            {
                viewBox: `0 0 ${width} ${height}`,
                role: "img",
                "aria-label": `${title}: ${write(last)} now, at most ${write(Math.max(...values))}`,
            },
            s("line", { class: "axis", x1: 0, x2: width, y1: height - 18, y2: height - 18 }),
            s("polygon", { class: "spark-area", points: `0,${height - 18} ${line} ${width},${height - 18}` }),
            s("polyline", { class: "spark-line", points: line }),
            s("text", { class: "tick", x: 0, y: height - 4 }, clock(from).slice(0, 5)),
            s("text", { class: "tick end", x: width, y: height - 4 }, clock(to).slice(0, 5)),
        ),
    );
}
