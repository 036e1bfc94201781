import { Button, CopyButton, UnstyledButton } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useMemo, useRef, useState } from "react";
import type { Frame } from "../api/types";
import { pretty } from "../format";
import { ChevronIcon, DownIcon, UpIcon } from "../parts/icons";
import { Notes } from "../parts/StateChip";
import { Time } from "../parts/Time";
import css from "../station/station.module.css";
import { t } from "../texts";
import { actionsByMessage, frameKey, isError, payloadOf } from "./log";

export type View = "pretty" | "raw";

/** Frames as lines; one opens to its payload or raw text, with the notes of what was translated or mended. */
export function FrameList({ frames, view }: { frames: Frame[]; view: View }) {
  const box = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const actions = useMemo(() => actionsByMessage(frames), [frames]);
  const toggle = useCallback(
    (key: string) =>
      setOpen((old) => {
        const next = new Set(old);
        if (!next.delete(key)) next.add(key);
        return next;
      }),
    [],
  );
  const virtual = useVirtualizer({
    count: frames.length,
    getScrollElement: () => box.current,
    estimateSize: () => 35,
    overscan: 12,
    getItemKey: (i) => {
      const frame = frames[i];
      return frame ? frameKey(frame) : i;
    },
  });
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
    <section ref={box} className={css.frames} tabIndex={0} aria-label={t.frames.list}>
      <div className={css.framesInner} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const frame = frames[item.index];
          return frame ? (
            <div
              key={item.key}
              data-index={item.index}
              data-frame={frameKey(frame)}
              ref={virtual.measureElement}
              className={css.frame}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <Line
                frame={frame}
                action={frame.action || actions.get(frame.messageId) || ""}
                open={open.has(frameKey(frame))}
                view={view}
                onToggle={toggle}
              />
            </div>
          ) : null;
        })}
      </div>
    </section>
  );
}

type LineProps = { frame: Frame; action: string; open: boolean; view: View; onToggle: (key: string) => void };

const Line = memo(function Line({ frame, action, open, view, onToggle }: LineProps) {
  const notes = frame.notes ?? [];
  const incoming = frame.direction === "in";
  const serious = notes.some((n) => n.kind === "lost" || n.kind === "warning");
  return (
    <>
      <UnstyledButton
        className={css.frameLine}
        aria-expanded={open}
        onClick={() => onToggle(frameKey(frame))}
      >
        <ChevronIcon size={14} />
        <Time at={frame.time} form="precise" />
        <span
          className={incoming ? css.in : css.out}
          role="img"
          aria-label={incoming ? t.frames.received : t.frames.sent}
          title={incoming ? t.frames.received : t.frames.sent}
        >
          {incoming ? <DownIcon size={15} /> : <UpIcon size={15} />}
        </span>
        <span className={css.action} data-error={isError(frame)}>
          {action || frame.type}
          {frame.type !== "CALL" && <small>{frame.type}</small>}
        </span>
        <span className={css.text}>{open ? "" : frame.text}</span>
        {notes.length > 0 && (
          <span className={css.noteCount} data-serious={serious}>
            {t.frames.notes(notes.length)}
          </span>
        )}
      </UnstyledButton>
      {open && <Body frame={frame} view={view} />}
    </>
  );
});

function Body({ frame, view }: { frame: Frame; view: View }) {
  const text = view === "raw" ? frame.text : shown(payloadOf(frame));
  return (
    <div className={css.frameBody}>
      <Notes notes={frame.notes} />
      <pre className="code">{text}</pre>
      <CopyButton value={view === "raw" ? frame.text : text}>
        {({ copied, copy }) => (
          <Button size="compact-xs" variant="default" className={css.copy} onClick={copy}>
            {copied ? t.frames.copied : t.frames.copy}
          </Button>
        )}
      </CopyButton>
    </div>
  );
}

function shown(payload: unknown): string {
  return typeof payload === "string" ? pretty(payload) : JSON.stringify(payload, null, 2);
}
