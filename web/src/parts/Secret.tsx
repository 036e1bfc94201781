import { Button, CopyButton } from "@mantine/core";
import type { ReactNode } from "react";
import { t } from "../texts";
import css from "./parts.module.css";

/** Something to be carried elsewhere letter by letter: a name, the text, and a button that copies it. */
export function CopyText({ name, text, children }: { name: string; text: string; children?: ReactNode }) {
  return (
    <div className={css.copyText}>
      <span className={css.copyName}>{name}</span>
      <div className={css.copyLine}>
        <code>{text}</code>
        <CopyButton value={text}>
          {({ copied, copy }) => (
            <Button
              size="compact-sm"
              variant="default"
              onClick={copy}
              aria-label={copied ? t.secret.copied : t.secret.copy(name)}
            >
              {copied ? t.secret.copied : t.frames.copy}
            </Button>
          )}
        </CopyButton>
      </div>
      {children && <span className={css.copyHint}>{children}</span>}
    </div>
  );
}

/** A password that was just made. Nobody can ask for it again, and the page says so. */
export function Secret({ user, password }: { user: string; password: string }) {
  return (
    <>
      <CopyText name={t.secret.user} text={user} />
      <CopyText name={t.secret.password} text={password}>
        {t.secret.once}
      </CopyText>
    </>
  );
}
