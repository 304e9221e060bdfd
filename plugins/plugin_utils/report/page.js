// Copyright (c) 2026 The rcron maintainers
// SPDX-License-Identifier: GPL-3.0-or-later
//
// The page is complete without this, but for the timelines, which it draws from the data that the page holds. Whatever a
// host has said becomes text (textContent, replaceChildren), never markup.
"use strict";
(() => {
    const SVG = "http://www.w3.org/2000/svg";
    const LEFT = 170, RIGHT = 14, LANE = 30, BAND = 12, TOP = 22, MARK = 9, SHORTEST = 60, NAMED = 8;
    const STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800];
    const data = JSON.parse(document.getElementById("data").textContent);

    function add(parent, name, attributes, text) {
        const element = document.createElementNS(SVG, name);
        for (const key in attributes) element.setAttribute(key, attributes[key]);
        if (text !== undefined) element.textContent = text;
        parent.append(element);
        return element;
    }

    /** The clock of the controller's time zone, at a moment in seconds since the epoch. */
    function clock(moment, seconds) {
        let offset = data.offsets[0][1];
        for (const [since, ahead] of data.offsets) if (since <= moment) offset = ahead;
        const text = new Date((moment + offset) * 1000).toISOString();
        return `${text.slice(5, 10)} ${text.slice(11, seconds ? 19 : 16)}`;
    }

    class Timeline {
        constructor(box, found) {
            Object.assign(this, found);
            this.box = box;
            this.view = [this.begin, this.end];
            this.lane = 0;
            this.cursor = null;
            this.lanes = this.nodes.map((name) => ({ name, bands: [], runs: [], faults: [] }));
            const nobody = { name: "no host", bands: [], runs: [], faults: [] };
            const lane = (node) => (node < 0 ? nobody : this.lanes[node]);
            for (const [node, begin, end, state] of this.bands) lane(node).bands.push({ begin, end, state });
            for (const [node, job, begin, length, outcome] of this.runs)
                lane(node).runs.push({ job: this.jobs[job], begin, end: length === null ? null : begin + length, outcome });
            for (const [node, begin, end, text] of this.faults) lane(node).faults.push({ begin, end, text });
            if (nobody.runs.length + nobody.faults.length) this.lanes.push(nobody);
            for (const each of this.lanes) {
                each.runs.sort((a, b) => a.begin - b.begin);
                each.moments = [...each.bands, ...each.runs, ...each.faults].map((item) => Math.max(item.begin, this.begin));
                each.moments = [...new Set(each.moments)].sort((a, b) => a - b);
            }
            this.svg = add(box, "svg", { "aria-hidden": "true" });
            this.tip = document.createElement("div");
            this.tip.className = "tip";
            this.tip.setAttribute("role", "status");
            box.append(this.tip);
            this.listen();
            new ResizeObserver(() => this.draw()).observe(box); // which calls back at once
        }

        x(moment) {
            const part = (moment - this.view[0]) / (this.view[1] - this.view[0]);
            return LEFT + Math.min(Math.max(part, 0), 1) * this.width;
        }

        moment(x) {
            return this.view[0] + ((x - LEFT) / this.width) * (this.view[1] - this.view[0]);
        }

        isIn(item, tolerance = 0) {
            const end = item.end === null || item.end === undefined ? item.begin : item.end;
            return item.begin <= this.view[1] + tolerance && end >= this.view[0] - tolerance;
        }

        draw() {
            this.width = Math.max(this.box.clientWidth, 400) - LEFT - RIGHT;
            const height = TOP + this.lanes.length * LANE;
            this.svg.setAttribute("height", height);
            this.svg.replaceChildren();
            this.drawAxis(height);
            this.lanes.forEach((lane, index) => this.drawLane(lane, TOP + index * LANE));
            if (this.cursor !== null && this.cursor >= this.view[0] && this.cursor <= this.view[1]) {
                const x = this.x(this.cursor), y = TOP + this.lane * LANE;
                add(this.svg, "path", { class: "cursor", d: `M${x},${y}v${LANE}` });
            }
        }

        drawAxis(height) {
            const span = this.view[1] - this.view[0];
            const step = STEPS.find((each) => (span / each) * 90 <= this.width) || 604800;
            for (let at = Math.ceil(this.view[0] / step) * step; at <= this.view[1]; at += step) {
                add(this.svg, "path", { class: "grid", d: `M${this.x(at)},${TOP - 4}V${height}` });
                add(this.svg, "text", { x: this.x(at), y: TOP - 8, "text-anchor": "middle" }, clock(at, step < 60));
            }
        }

        drawLane(lane, y) {
            const name = lane.name.length > 22 ? `${lane.name.slice(0, 13)}…${lane.name.slice(-8)}` : lane.name;
            add(this.svg, "text", { x: 8, y: y + BAND + 2 }, name);
            for (const band of lane.bands.filter((each) => this.isIn(each))) {
                const left = this.x(band.begin), width = Math.max(this.x(band.end) - left, 0.5);
                const isHatched = band.state === "down" || band.state === "unknown";
                const look = isHatched ? { fill: `url(#${band.state})`, stroke: "#808080" } : { class: `band ${band.state}` };
                add(this.svg, "rect", { ...look, x: left, y: y + 4, width, height: BAND });
                if (width > 60 && !isHatched) add(this.svg, "text", { class: band.state, x: left + 5, y: y + BAND + 2 }, band.state);
            }
            const lengths = [];
            let last = -Infinity;
            for (const run of lane.runs) {
                if (!this.isIn(run)) continue;
                const left = this.x(run.begin), middle = y + LANE - 7;
                if (run.end !== null && this.x(run.end) - left > MARK) lengths.push(`M${left},${middle}H${this.x(run.end)}m0,-3v6`);
                // A mark stands for those that it would cover, unless they are worse than ok.
                if (left - last < MARK && run.outcome === "ok") continue;
                last = left;
                add(this.svg, "path", { class: `run ${run.outcome}`, d: data.shapes[run.outcome], transform: `translate(${left},${middle})` });
            }
            if (lengths.length) this.svg.insertBefore(add(this.svg, "path", { class: "length", d: lengths.join("") }), this.svg.firstChild);
            const faults = lane.faults.filter((each) => this.isIn(each)).map((each) => `M${this.x(each.begin) - 4},${y}h8l-4,7z`);
            if (faults.length) add(this.svg, "path", { class: "fault", d: faults.join("") });
        }

        /** What is at a moment of a lane, as lines. */
        tell(lane, moment) {
            const close = (5 / this.width) * (this.view[1] - this.view[0]);
            const length = (item) => (item.end === null ? "" : `, ${Math.round(item.end - item.begin)} s`);
            const isNear = (item) => Math.abs(item.begin - moment) <= close || (item.end && item.begin <= moment && item.end >= moment);
            const lines = [`${clock(moment, true)} ${lane.name}`];
            for (const band of lane.bands)
                if (band.begin <= moment && moment <= band.end) lines.push(`${band.state}, ${clock(band.begin, true)} to ${clock(band.end, true)}`);
            const near = [
                ...lane.faults.filter(isNear).map((fault) => `${clock(fault.begin, true)} event: ${fault.text}`),
                ...lane.runs.filter(isNear).map((run) => `${clock(run.begin, true)} ${run.outcome}: ${run.job}${length(run)}`),
            ];
            lines.push(...near.slice(0, NAMED));
            if (near.length > NAMED) lines.push(`and ${near.length - NAMED} more: zoom in`);
            return lines.join("\n");
        }

        point(lane, moment) {
            this.pointed = [lane, moment];
            this.tip.textContent = this.tell(this.lanes[lane], moment);
            const frame = this.svg.getBoundingClientRect(), { offsetWidth, offsetHeight } = this.tip;
            const left = Math.min(frame.left + this.x(moment) + 12, innerWidth - offsetWidth - 4);
            let top = frame.top + TOP + (lane + 1) * LANE;
            if (top + offsetHeight > innerHeight) top -= LANE + offsetHeight;
            this.tip.style.left = `${Math.max(left, 4)}px`;
            this.tip.style.top = `${Math.max(top, 0)}px`;
        }

        show(begin, span) {
            const whole = this.end - this.begin;
            span = Math.min(Math.max(span, Math.min(SHORTEST, whole)), whole);
            begin = Math.min(Math.max(begin, this.begin), this.end - span);
            this.view = [begin, begin + span];
            this.draw();
        }

        zoom(factor, centre = this.cursor) {
            const [begin, end] = this.view;
            if (centre === null || centre < begin || centre > end) centre = (begin + end) / 2;
            this.show(centre - (centre - begin) / factor, (end - begin) / factor);
        }

        pan(part) {
            const span = this.view[1] - this.view[0];
            this.show(this.view[0] + part * span, span);
        }

        /** Go to the next moment of the lane at which something is, or the one before. */
        step(direction) {
            const { moments } = this.lanes[this.lane];
            const at = this.cursor === null ? this.view[0] - 1 : this.cursor;
            const found = direction > 0 ? moments.find((each) => each > at) : moments.findLast((each) => each < at);
            if (found === undefined) return;
            this.cursor = found;
            const span = this.view[1] - this.view[0];
            if (found < this.view[0] || found > this.view[1]) this.view = [found - span / 2, found + span / 2];
            this.show(this.view[0], span);
            this.point(this.lane, found);
        }

        to(lane) {
            this.lane = Math.min(Math.max(lane, 0), this.lanes.length - 1);
            this.cursor = this.cursor === null ? this.view[1] : this.cursor;
            this.draw();
            const top = TOP + this.lane * LANE;
            if (top < this.box.scrollTop || top + LANE > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top - LANE;
            this.point(this.lane, this.cursor);
        }

        listen() {
            const keys = {
                "+": () => this.zoom(2), "=": () => this.zoom(2), "-": () => this.zoom(0.5), "0": () => this.show(this.begin, Infinity),
                ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1),
                ArrowUp: () => this.to(this.lane - 1), ArrowDown: () => this.to(this.lane + 1),
                PageUp: () => this.pan(-0.5), PageDown: () => this.pan(0.5), Escape: () => (this.tip.textContent = ""),
            };
            this.box.addEventListener("keydown", (event) => {
                if (event.ctrlKey || event.altKey || event.metaKey || !(event.key in keys)) return;
                event.preventDefault();
                keys[event.key]();
            });
            for (const button of document.querySelectorAll(`[data-timeline="${this.box.id}"]`))
                button.addEventListener("click", () => keys[button.dataset.key]());
            let held = null;
            this.box.addEventListener("pointerdown", (event) => (held = [event.clientX, this.view[0]]));
            addEventListener("pointerup", () => (held = null));
            this.box.addEventListener("pointermove", (event) => {
                const frame = this.svg.getBoundingClientRect();
                const x = event.clientX - frame.left, lane = Math.floor((event.clientY - frame.top - TOP) / LANE);
                const span = this.view[1] - this.view[0];
                if (held) this.show(held[1] - ((event.clientX - held[0]) / this.width) * span, span);
                if (lane >= 0 && lane < this.lanes.length && x >= LEFT && x <= LEFT + this.width) this.point(lane, this.moment(x));
                else this.tip.textContent = "";
            });
            this.box.addEventListener("blur", () => (this.tip.textContent = ""));
            addEventListener("scroll", () => this.tip.textContent && this.point(...this.pointed)); // it stays with its place
            this.box.addEventListener("pointerleave", () => (this.tip.textContent = ""));
            this.box.addEventListener("wheel", (event) => {
                if (!event.ctrlKey) return; // the page scrolls
                event.preventDefault();
                this.zoom(event.deltaY < 0 ? 1.25 : 0.8, this.moment(event.clientX - this.svg.getBoundingClientRect().left));
            }, { passive: false });
        }
    }

    data.timelines.forEach((found, index) => new Timeline(document.getElementById(`timeline-${index}`), found));

    const filter = document.getElementById("filter"), said = document.getElementById("filtered");
    const rows = [...document.querySelectorAll("tbody tr")];
    filter.addEventListener("input", () => {
        const wanted = filter.value.toLowerCase();
        let shown = 0;
        for (const row of rows) {
            row.hidden = !row.textContent.toLowerCase().includes(wanted);
            shown += !row.hidden;
        }
        said.textContent = wanted ? `${shown} of ${rows.length} rows` : "";
    });
    for (const element of document.querySelectorAll(".script")) element.hidden = false;

    const closed = () => document.querySelectorAll("details:not([open])");
    let opened = [];
    addEventListener("beforeprint", () => {
        opened = [...closed()];
        for (const each of opened) each.open = true;
    });
    addEventListener("afterprint", () => {
        for (const each of opened) each.open = false;
    });
})();
