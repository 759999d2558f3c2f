/** The steps of a run, a row each; only the rows that can be seen are drawn. */
import { Component, type TargetedMouseEvent } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Bar } from "./api";
import { busyOf, scaleOf, type Gap } from "./scale";
import { span } from "./words";

const ROW = 30;
const BEYOND = 6;
const AXIS = 24;
const TICKS = [0, 0.25, 0.5, 0.75, 1];
const WORDS: Record<string, string> = {
  running: "running", waiting: "waiting", held: "held back", backoff: "waiting for another try",
};

/** Of a bar: the run that it has invoked, and whether its steps are shown; or whose step it is. */
export interface Inner {
  child?: string;
  open?: boolean;
  of?: string;
}

interface Props {
  bars: Bar[];
  inner: Map<Bar, Inner>;
  began: number;
  ended: number;
  live: boolean;
  chosen: string | null;
  choose: (bar: Bar) => void;
  fold: (bar: Bar) => void;
  line: boolean;
}

export function Timeline({ bars, inner, began, ended, live, chosen, choose, fold, line }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [first, setFirst] = useState(0);
  const [height, setHeight] = useState(600);
  const busy = useMemo(() => busyOf(bars), [bars]);
  const scale = useMemo(() => scaleOf(busy, began, ended), [busy, began, ended]);
  // Rows keep theirs, and are drawn again only for what they show.
  const acts = useRef({ choose, fold });
  acts.current = { choose, fold };
  const pick = useMemo(() => (bar: Bar, event: Event) =>
    (event.target as Element).closest(".fold") ? acts.current.fold(bar) : acts.current.choose(bar), []);
  useEffect(() => {
    const watcher = new ResizeObserver(([entry]) => entry && setHeight(entry.contentRect.height));
    watcher.observe(box.current!);
    return () => watcher.disconnect();
  }, []);
  const place = chosen === null ? -1 : bars.findIndex((bar) => String(bar[0]) === chosen && !inner.get(bar)?.of);
  useEffect(() => {
    const seen = box.current!;
    if (place < 0 || (place * ROW >= seen.scrollTop && (place + 1) * ROW + AXIS <= seen.scrollTop + seen.clientHeight)) return;
    seen.scrollTop = place * ROW - seen.clientHeight / 2;
  }, [chosen, place < 0]);

  const from = Math.max(0, first - BEYOND);
  // Rows that leave the view become those that enter it: nothing is made anew while one scrolls.
  const slots = Math.ceil(height / ROW) + 1 + 2 * BEYOND;
  const rows = bars.slice(from, from + slots);
  const move = (event: KeyboardEvent) => {
    const bar = bars[place];
    if (bar && inner.get(bar)?.child && event.key === (inner.get(bar)!.open ? "ArrowLeft" : "ArrowRight")) return fold(bar);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -bars.length, End: bars.length }[event.key];
    if (!by) return;
    event.preventDefault();
    let at = Math.min(bars.length - 1, Math.max(0, place + by));
    // Steps of other runs have pages of their own.
    while (bars[at] && inner.get(bars[at]!)?.of) at += Math.sign(by);
    if (bars[at]) choose(bars[at]!);
  };
  return (
    <div class={`timeline ${line ? "" : "plain"}`}>
      <div class="rows" ref={box} onScroll={(e) => setFirst(Math.floor(e.currentTarget.scrollTop / ROW))} tabIndex={0}
        role="listbox" aria-label="Steps" aria-activedescendant={place >= 0 ? `step-${chosen}` : undefined} onKeyDown={move}>
        {line && (
          <div class="axis" aria-hidden="true"><div>
            {TICKS.map((tick) => {
              const time = scale.when(tick);
              const taken = scale.gaps.some(({ left, width }) => tick > left - 0.1 && tick < left + width + 0.1);
              return time !== null && !taken && <span key={tick} class="tick-at" style={{ left: `${tick * 100}%`, transform: `translateX(${tick * -100}%)` }}>{tick ? span(time - began) : "0"}</span>;
            })}
            {scale.gaps.filter(stands).map(({ since, until, left, width }) => (
              <span key={since} class="gap-of" style={{ left: `${(left + width / 2) * 100}%`, transform: `translateX(${left > 0.85 ? -90 : -50}%)` }}>{span(until - since)}</span>
            ))}
          </div></div>
        )}
        <div class="all" style={{ height: `${bars.length * ROW}px` }}>
          {line && scale.gaps.map((gap) => (
            <div key={gap.since} class="gap" style={{ left: `calc(var(--names) + (100% - var(--names) - 14px) * ${gap.left})`, width: `calc((100% - var(--names) - 14px) * ${gap.width})` }}
              title={`Nothing ran for ${span(gap.until - gap.since)}`} />
          ))}
          {rows.map((bar, i) => (
            <Row key={(from + i) % slots} bar={bar} inner={inner.get(bar)} top={(from + i) * ROW} at={scale.at} until={bar[6] ?? ended}
              chosen={from + i === place} pick={pick} line={line} of={bars.length} />
          ))}
          {live && line && <div class="now" aria-hidden="true" title="Now" />}
        </div>
      </div>
      <Marks bars={bars} top={first * ROW} height={height} to={(at) => box.current && (box.current.scrollTop = at * ROW - height / 2)} />
    </div>
  );
}

interface RowProps {
  bar: Bar;
  inner: Inner | undefined;
  top: number;
  at: (time: number) => number;
  until: number;
  chosen: boolean;
  pick: (bar: Bar, event: Event) => void;
  line: boolean;
  of: number;
}

/** One step; it is drawn again only if something of it is another. */
class Row extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps): boolean {
    for (const name in next) {
      if (next[name as keyof RowProps] !== this.props[name as keyof RowProps]) return true;
    }
    return false;
  }

  override render({ bar, inner, top, at, until, chosen, pick, line, of }: RowProps) {
    const [key, name, kind, state, depth, began, over, segments, attempts] = bar;
    const took = span(until - began);
    const said = `${name}, ${kind}, ${WORDS[state] ?? state}, ${took}${attempts.length ? `, failed attempts: ${attempts.length}` : ""}`
      + (inner?.child ? `, its run is ${inner.open ? "shown" : "folded"}` : inner?.of ? ", of the run that was invoked" : "");
    const end = at(until);
    return (
      <div class={`row ${chosen ? "chosen" : ""} ${inner?.of ? "inner" : ""}`} style={{ transform: `translateY(${top}px)` }} role="option" id={`step-${inner?.of ? `${inner.of}-` : ""}${key}`}
        aria-selected={chosen} aria-label={said} aria-posinset={top / ROW + 1} aria-setsize={of} onClick={(event) => pick(bar, event)}>
        <div class="name" style={{ paddingLeft: `${10 + depth * 16}px` }}>
          {inner?.child && <span class="fold" title={inner.open ? "Fold its run (←)" : "Show its run (→)"}>{inner.open ? "▾" : "▸"}</span>}
          <span class={`icon ${state}`} />
          <span class="text">{name}</span>
          <span class="kind">{kind}</span>
        </div>
        {line ? (
          <div class="bars">
            {segments.map(([what, since, till], i) => {
              const left = at(since);
              return (
                <div key={i} class={`bar ${what} ${what === "running" && over !== null ? state : ""}`} title={segments.length > 1 ? `${WORDS[what] ?? what}: ${span((till ?? until) - since)}` : undefined}
                  style={{ left: `${left * 100}%`, width: `max(3px, ${(at(till ?? until) - left) * 100}%)` }} />
              );
            })}
            {!segments.length && <div class={`bar running ${state}`} style={{ left: `${at(began) * 100}%`, width: "3px" }} />}
            {attempts.map((failed) => <div key={failed} class="tick" style={{ left: `${at(failed) * 100}%` }} title="A failed attempt" />)}
            <span class={`took ${end > 0.8 && at(began) < 0.15 ? "over" : ""}`}
              style={end <= 0.8 ? { left: `${end * 100}%`, right: "auto" } : { right: `${(1 - (at(began) < 0.15 ? end : at(began))) * 100}%`, left: "auto" }}>{took}</span>
          </div>
        ) : (
          <div class="facts"><span>{WORDS[state] ?? state}</span><span>{attempts.length ? `${attempts.length} failed` : ""}</span><span class="number">{took}</span></div>
        )}
      </div>
    );
  }
}

/** Of gaps beside each other the longest has its length written above it. */
const stands = (gap: Gap, _: number, all: Gap[]) =>
  !all.some((one) => Math.abs(one.left - gap.left) < 0.1 && one.until - one.since > gap.until - gap.since);

/** Where in a long run something failed: seen without scrolling. */
function Marks({ bars, top, height, to }: { bars: Bar[]; top: number; height: number; to: (at: number) => void }) {
  const failed = useMemo(() => bars.flatMap((bar, i) => (bar[3] === "failed" || bar[3] === "backoff" ? [i] : [])), [bars]);
  const whole = bars.length * ROW;
  if (!failed.length || whole <= height) return null;
  const shown = failed.length > 200 ? failed.filter((_, i) => i % Math.ceil(failed.length / 200) === 0) : failed;
  // A pixel may stand for many rows: whoever clicks a mark means the one that has failed.
  const clicked = (e: TargetedMouseEvent<HTMLElement>) => {
    const rows = bars.length / e.currentTarget.clientHeight, at = Math.floor(e.offsetY * rows);
    const nearest = failed.reduce((best, i) => (Math.abs(i - at) < Math.abs(best - at) ? i : best));
    to(Math.abs(nearest - at) <= 4 * rows ? nearest : at);
  };
  return (
    <div class="marks" aria-hidden="true" onClick={clicked}>
      <div class="view" style={{ top: `${(100 * top) / whole}%`, height: `${(100 * height) / whole}%` }} />
      {shown.map((i) => <div key={i} class="mark" style={{ top: `${(100 * i) / bars.length}%` }} />)}
    </div>
  );
}
