import { t } from "../texts";

/** One refused field of a request, as the API names it. */
export type FieldError = { message?: string; location?: string };

/** An RFC 9457 problem, or what stands for one when no answer came. `status` is 0 without an answer. */
export class Problem extends Error {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly errors: FieldError[];

  constructor(status: number, title: string, detail = "", errors: FieldError[] = []) {
    super(detail ? `${title}: ${detail}` : title);
    this.name = "Problem";
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.errors = errors;
  }
}

/** Reads whatever a failed request left into a problem that can be shown. */
export function toProblem(cause: unknown, status = 0): Problem {
  if (cause instanceof Problem) return cause;
  if (isRecord(cause) && typeof cause.title === "string") {
    return new Problem(
      typeof cause.status === "number" ? cause.status : status,
      cause.title,
      typeof cause.detail === "string" ? cause.detail : "",
      Array.isArray(cause.errors) ? cause.errors.filter(isRecord) : [],
    );
  }
  if (status > 0) return new Problem(status, t.errors.status(status));
  if (cause instanceof TypeError) return new Problem(0, t.errors.unreachable, t.errors.unreachableHint);
  return new Problem(0, t.errors.unexpected, cause instanceof Error ? cause.message : String(cause));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
