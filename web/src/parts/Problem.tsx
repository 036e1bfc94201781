import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import type { ReactNode } from "react";
import { toProblem } from "../api/problem";
import { t } from "../texts";
import { AlertIcon } from "./icons";
import css from "./parts.module.css";

/** What went wrong, in the words of the problem: its title, its detail, and the fields that were refused. */
export function ProblemView({ cause, retry }: { cause: unknown; retry?: () => void }) {
  const problem = toProblem(cause);
  return (
    <div className={css.problem} role="alert">
      <AlertIcon />
      <div>
        <strong>{problem.title}</strong>
        {problem.detail && <span>{problem.detail}</span>}
        {problem.errors.length > 0 && (
          <ul aria-label={t.errors.fields}>
            {problem.errors.map((e) => (
              <li key={`${e.location} ${e.message}`}>
                {e.location && <code>{e.location}</code>} {e.message}
              </li>
            ))}
          </ul>
        )}
        {retry && (
          <Button size="compact-sm" variant="default" onClick={retry}>
            {t.errors.retry}
          </Button>
        )}
      </div>
    </div>
  );
}

/** For failures of an action whose place on the page is gone or small. */
export function notifyProblem(cause: unknown): void {
  const problem = toProblem(cause);
  notifications.show({
    closeButtonProps: { "aria-label": t.dialog.close },
    color: "red",
    title: problem.title,
    message: [problem.detail, ...problem.errors.map((e) => `${e.location ?? ""} ${e.message ?? ""}`.trim())]
      .filter(Boolean)
      .join(" · "),
    autoClose: 10_000,
  });
}

export function notifyDone(title: string, message: ReactNode = ""): void {
  notifications.show({
    closeButtonProps: { "aria-label": t.dialog.close },
    color: "teal",
    title,
    message,
    autoClose: 5000,
  });
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={css.empty}>
      <strong>{title}</strong>
      {children}
    </div>
  );
}
