import { Button, SegmentedControl, Select } from "@mantine/core";
import { useEffect, useMemo, useState } from "react";
import { count } from "../format";
import { FrameList, type View } from "../frames/FrameList";
import { actionsByMessage } from "../frames/log";
import { useFrames } from "../frames/useFrames";
import { PauseIcon, PlayIcon } from "../parts/icons";
import { Empty, ProblemView } from "../parts/Problem";
import { t } from "../texts";
import css from "./station.module.css";

/** Everything that the station and Lumela say to each other, as it was on the wire. */
export function FramesTab({ station }: { station: string }) {
  const [action, setAction] = useState<string | null>(null);
  const [view, setView] = useState<View>("pretty");
  const log = useFrames(station, action);
  const known = useKnownActions(log.frames);
  const shown = useMemo(() => {
    if (!action) return log.frames;
    const actions = actionsByMessage(log.frames);
    return log.frames.filter((f) => (f.action || actions.get(f.messageId)) === action);
  }, [log.frames, action]);

  return (
    <>
      <div className={css.toolbar}>
        <Button
          size="compact-sm"
          variant={log.paused ? "filled" : "default"}
          leftSection={log.paused ? <PlayIcon size={14} /> : <PauseIcon size={14} />}
          onClick={() => log.setPaused(!log.paused)}
        >
          {log.paused ? t.frames.resume : t.frames.pause}
        </Button>
        <Select
          size="xs"
          w={210}
          aria-label={t.frames.action}
          placeholder={t.frames.anyAction}
          clearable
          searchable
          data={known}
          value={action}
          onChange={setAction}
        />
        <SegmentedControl
          size="xs"
          aria-label={t.frames.view}
          data={[
            { value: "pretty", label: t.frames.pretty },
            { value: "raw", label: t.frames.raw },
          ]}
          value={view}
          onChange={(value) => setView(value as View)}
        />
        <span className={css.right} role="status">
          {log.paused
            ? `${t.frames.paused} · ${t.frames.waiting(log.held)}`
            : log.live || log.loading
              ? t.frames.shown(count(shown.length))
              : t.frames.lost}
        </span>
      </div>
      {log.error !== null && (
        <div className={css.block}>
          <ProblemView cause={log.error} retry={log.retry} />
        </div>
      )}
      {shown.length === 0 && !log.loading && log.error === null && (
        <Empty title={action ? t.frames.noMatch : t.frames.none}>{!action && t.frames.noneHint}</Empty>
      )}
      {shown.length > 0 && <FrameList frames={shown} view={view} />}
      {log.hasOlder && (
        <div className={css.foot}>
          <Button size="compact-sm" variant="default" onClick={log.loadOlder}>
            {t.frames.older}
          </Button>
        </div>
      )}
    </>
  );
}

/** All actions seen so far on this tab: a filter must not empty the list of what may be chosen next. */
function useKnownActions(frames: { action: string }[]): string[] {
  const [known, setKnown] = useState<string[]>([]);
  useEffect(() => {
    setKnown((old) => {
      const all = new Set(old);
      for (const frame of frames) if (frame.action) all.add(frame.action);
      return all.size === old.length ? old : [...all].sort();
    });
  }, [frames]);
  return known;
}
