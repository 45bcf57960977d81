// Keeps a view up to date: asks every few seconds, less often after failures, and not at all while nobody looks.

const EVERY_SECONDS = 5;
const AT_MOST_SECONDS = 60;

export class Live {
    #timer = null;
    #abort = null;
    #failures = 0;
    #stopped = false;

    /**
     * @param {(signal: AbortSignal) => Promise<any>} load asks the app
     * @param {(data: any) => void} show is called with each answer
     * @param {(error: Error, seconds: number) => void} fail is called with each failure, and when the next try is
     */
    constructor(load, show, fail) {
        this.load = load;
        this.show = show;
        this.fail = fail;
        this.look = () => (document.hidden ? this.#pause() : this.refresh());
        document.addEventListener("visibilitychange", this.look);
    }

    /** Asks now. What is under way is given up. */
    async refresh() {
        this.#pause();
        if (this.#stopped) return;
        const abort = new AbortController();
        this.#abort = abort;
        let seconds = EVERY_SECONDS;
        try {
            const data = await this.load(abort.signal);
            if (abort.signal.aborted) return;
            this.#failures = 0;
            this.show(data);
        } catch (error) {
            if (abort.signal.aborted) return;
            this.#failures += 1;
            seconds = Math.min(AT_MOST_SECONDS, EVERY_SECONDS * 2 ** this.#failures);
            this.fail(error, seconds);
        }
        if (!this.#stopped && !document.hidden) this.#timer = setTimeout(() => this.refresh(), seconds * 1000);
    }

    #pause() {
        clearTimeout(this.#timer);
        this.#abort?.abort();
    }

    /** Asks no more. */
    stop() {
        this.#stopped = true;
        this.#pause();
        document.removeEventListener("visibilitychange", this.look);
    }
}
