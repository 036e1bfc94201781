import type { Frame } from "../api/types";

/** Frames that a page keeps at most; the oldest go first. */
const keep = 3000;

/** What tells frames apart: a call and its answer may share their number. */
export function frameKey(frame: Frame): string {
  return `${frame.seq} ${frame.type}`;
}

/** Adds frames to a list that is newest first, each once. Returns the same list when nothing is new. */
export function mergeFrames(list: Frame[], incoming: Frame[], max = keep): Frame[] {
  const known = new Set(list.map(frameKey));
  const fresh = incoming.filter((f) => !known.has(frameKey(f)) && known.add(frameKey(f)));
  if (fresh.length === 0) return list;
  return [...fresh, ...list].sort(newestFirst).slice(0, max);
}

/**
 * By time; within the same moment by number, and an answer is newer than the call that it shares it with. Without
 * its Z a time with fewer digits is a prefix of, and sorts before, those that follow within the same second.
 */
function newestFirst(a: Frame, b: Frame): number {
  const one = a.time.replace("Z", "");
  const other = b.time.replace("Z", "");
  if (one !== other) return one < other ? 1 : -1;
  return b.seq - a.seq || Number(opens(a)) - Number(opens(b));
}

function opens(frame: Frame): boolean {
  return frame.type === "CALL" || frame.type === "SEND";
}

/** The action of each call by its message id, so that an answer can be named after what it answers. */
export function actionsByMessage(frames: Frame[]): Map<string, string> {
  const actions = new Map<string, string>();
  for (const frame of frames) if (frame.action) actions.set(frame.messageId, frame.action);
  return actions;
}

/** The payload of a frame: what follows the message type, the id and the action. The whole frame if it is no JSON. */
export function payloadOf(frame: Frame): unknown {
  let parts: unknown;
  try {
    parts = JSON.parse(frame.text);
  } catch {
    return frame.text;
  }
  if (!Array.isArray(parts)) return parts;
  switch (parts[0]) {
    case 2:
    case 6:
      return parts[3];
    case 3:
      return parts[2];
    case 4:
    case 5:
      return { code: parts[2], description: parts[3], details: parts[4] };
    default:
      return parts;
  }
}

export function isError(frame: Frame): boolean {
  return frame.type === "CALLERROR" || frame.type === "CALLRESULTERROR";
}
