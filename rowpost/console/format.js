// How values are written: times, spans, numbers, keys and the words of the API.

let lead = null; // milliseconds by which the database's clock is ahead of this machine's

/** Learns the database's clock from the time of an answer. */
export function learnClock(asOf) {
    if (asOf) lead = Date.parse(asOf) - Date.now();
}

/** The database's time now, in milliseconds; null as long as no answer has told it. */
export function now() {
    return lead === null ? null : Date.now() + lead;
}

export function number(value) {
    return value === null || value === undefined ? "–" : Number(value).toLocaleString("en-GB");
}

export function rows(count) {
    return `${number(count)} ${count === 1 ? "row" : "rows"}`;
}

/** "2 March, 08:15:03" in UTC; the year only if it is another one. */
export function time(text) {
    if (!text) return "–";
    const at = new Date(text);
    const year = now() === null || new Date(now()).getUTCFullYear() !== at.getUTCFullYear() ? { year: "numeric" } : {};
    const day = at.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC", ...year });
    return `${day}, ${clock(at)}`;
}

/** "08:15:03" in UTC. */
export function clock(at) {
    return new Date(at).toISOString().slice(11, 19);
}

/** "3 h 12 min": the two largest units, or as many as are asked for. */
export function span(seconds, most = 2) {
    if (seconds === null || seconds === undefined) return "–";
    const whole = Math.max(0, Math.round(seconds));
    const units = [
        ["d", 86400],
        ["h", 3600],
        ["min", 60],
        ["s", 1],
    ];
    const first = units.findIndex(([, size]) => whole >= size);
    if (first < 0) return "0 s";
    const parts = [];
    let rest = whole;
    for (const [unit, size] of units.slice(first, first + most)) {
        if (Math.floor(rest / size)) parts.push(`${Math.floor(rest / size)} ${unit}`);
        rest %= size;
    }
    return parts.join(" ");
}

/** "in 12 min" or "12 min ago"; empty if the clock is not known. */
export function away(text, most = 2) {
    if (!text || now() === null) return "";
    const seconds = (Date.parse(text) - now()) / 1000;
    if (Math.abs(seconds) < 1) return "now";
    return seconds > 0 ? `in ${span(seconds, most)}` : `${span(-seconds, most)} ago`;
}

/** A sentence of the API, with its times as they stand on the page. */
export function sentence(text) {
    return text?.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, time) ?? text;
}

/** A time, with how far away it is. */
export function when(text) {
    const far = away(text);
    return text ? (far ? `${time(text)} (${far})` : time(text)) : null;
}

/** What a person calls a key: the value of one column, or the columns with their values. */
export function keyName(key) {
    const columns = Object.entries(key ?? {});
    if (columns.length === 1) return plain(columns[0][1]);
    return columns.map(([name, value]) => `${name} ${plain(value)}`).join(", ");
}

/** A JSON value as text; exact numbers stay as the app wrote them. */
export function plain(value) {
    if (value && typeof value === "object" && "rawJSON" in value) return value.rawJSON;
    return typeof value === "string" ? value : JSON.stringify(value);
}

export const STATES = {
    ok: { label: "OK", tone: "good" },
    catching_up: { label: "Catching up", tone: "info" },
    failing: { label: "Failing", tone: "warn" },
    outage: { label: "Outage", tone: "bad" },
    paused: { label: "Paused", tone: "hold" },
    cannot_run: { label: "Cannot run", tone: "bad" },
};

/** Where a row waits, in the order of its way. */
export const PLACES = {
    pending: "not handed out yet",
    in_flight: "being posted",
    handed_back: "handed back untried",
    parked: "on the way to recovery",
    retrying: "built-in attempts go on",
    exhausted: "attempts used up",
    held: "wait for their round",
    detached: "in recovery's hands",
};

export const ROW_STATES = ["retrying", "exhausted", "held", "detached", "dead"];

/** The words of a name of the API: "breaker_opened" becomes "breaker opened". */
export function words(name) {
    return name ? String(name).replaceAll("_", " ") : "";
}

export function capital(text) {
    return text ? text[0].toUpperCase() + text.slice(1) : "";
}

/** The address of a row's page. */
export function rowHref(relay, key) {
    const values = Object.values(key);
    const short = values.length === 1 && /^[\w.:@+-]+$/.test(plain(values[0])); // a slash does not survive a path everywhere
    const text = short ? plain(values[0]) : JSON.stringify(key);
    return `${relayHref(relay)}/rows/${encodeURIComponent(text)}`;
}

export function relayHref(relay) {
    return `#/relays/${encodeURIComponent(relay)}`;
}
