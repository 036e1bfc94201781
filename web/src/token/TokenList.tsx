import { ActionIcon, Button, Group, Menu, Modal, Stack } from "@mantine/core";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { memo, useLayoutEffect, useRef, useState } from "react";
import { useChangeToken, useRemoveToken } from "../api/queries";
import type { Token } from "../api/types";
import { none } from "../format";
import { MoreIcon } from "../parts/icons";
import { notifyDone, notifyProblem, ProblemView } from "../parts/Problem";
import { Time } from "../parts/Time";
import { t } from "../texts";
import { TokenDialog } from "./TokenDialog";
import { tokenState, typeLabel } from "./token";
import css from "./token.module.css";

type Open = { what: "edit" | "remove"; token: Token };

/** The tokens as a table of which only the visible rows exist. */
export function TokenList({ tokens }: { tokens: Token[] }) {
  const list = useRef<HTMLDivElement>(null);
  const [offset, setOffset] = useState(0);
  const [open, setOpen] = useState<Open | null>(null);

  useLayoutEffect(() => {
    const measure = () => setOffset((list.current?.getBoundingClientRect().top ?? 0) + window.scrollY);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, []);

  const virtual = useWindowVirtualizer({
    count: tokens.length,
    estimateSize: () => 49,
    overscan: 12,
    scrollMargin: offset,
    getItemKey: (i) => tokens[i]?.id ?? i,
  });

  return (
    <div className="card">
      <div role="table" aria-label={t.tokens.list} aria-rowcount={tokens.length + 1} className={css.table}>
        <div role="rowgroup">
          <div role="row" className={css.head} aria-rowindex={1}>
            <span role="columnheader">{t.tokens.columns.uid}</span>
            <span role="columnheader">{t.tokens.columns.type}</span>
            <span role="columnheader">{t.tokens.columns.group}</span>
            <span role="columnheader">{t.tokens.columns.validUntil}</span>
            <span role="columnheader">{t.tokens.columns.state}</span>
            <span role="columnheader" aria-label={t.tokens.columns.actions} />
          </div>
        </div>
        <div role="rowgroup" ref={list} className={css.rows} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const token = tokens[item.index];
            return token ? (
              <div
                role="row"
                key={item.key}
                data-index={item.index}
                data-token={token.uid}
                aria-rowindex={item.index + 2}
                ref={virtual.measureElement}
                className={css.item}
                style={{ transform: `translateY(${item.start - virtual.options.scrollMargin}px)` }}
              >
                <Row token={token} onOpen={setOpen} />
              </div>
            ) : null;
          })}
        </div>
      </div>
      {open?.what === "edit" && <TokenDialog token={open.token} onClose={() => setOpen(null)} />}
      {open?.what === "remove" && <RemoveDialog token={open.token} onClose={() => setOpen(null)} />}
    </div>
  );
}

type RowProps = { token: Token; onOpen: (open: Open) => void };

const Row = memo(function Row({ token, onOpen }: RowProps) {
  const state = tokenState(token, Date.now());
  return (
    <>
      <div role="cell" className={css.who}>
        <span className={`mono ${css.uid}`}>{token.uid}</span>
        {token.note && <span className={css.note}>{token.note}</span>}
      </div>
      <div role="cell" className={css.type}>
        {typeLabel(token)}
      </div>
      <div role="cell" className={css.group} data-empty={!token.group}>
        {token.group || none}
      </div>
      <div role="cell" className={css.until}>
        {token.validUntil ? (
          <Time at={token.validUntil} form="full" />
        ) : (
          <span className={css.dim}>{t.tokens.forever}</span>
        )}
      </div>
      <div role="cell" className={css.state} data-state={state}>
        {t.tokens[state]}
      </div>
      <div role="cell" className={css.actions}>
        <BlockButton token={token} />
        <Menu position="bottom-end" width={160} withInitialFocusPlaceholder={false}>
          <Menu.Target>
            <ActionIcon size={28} variant="default" aria-label={t.tokens.moreNamed(token.uid)}>
              <MoreIcon size={16} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => onOpen({ what: "edit", token })}>{t.tokens.edit}</Menu.Item>
            <Menu.Item className="danger" onClick={() => onOpen({ what: "remove", token })}>
              {t.tokens.remove}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </div>
    </>
  );
});

function BlockButton({ token }: { token: Token }) {
  const change = useChangeToken();
  const blocked = token.status === "blocked";
  const toggle = () =>
    change.mutate(
      { id: token.id, change: { status: blocked ? "active" : "blocked" } },
      {
        onSuccess: () => notifyDone((blocked ? t.tokens.isActive : t.tokens.isBlocked)(token.uid)),
        onError: notifyProblem,
      },
    );
  return (
    <Button
      size="compact-sm"
      variant="default"
      loading={change.isPending}
      onClick={toggle}
      aria-label={(blocked ? t.tokens.unblockNamed : t.tokens.blockNamed)(token.uid)}
    >
      {blocked ? t.tokens.unblock : t.tokens.block}
    </Button>
  );
}

function RemoveDialog({ token, onClose }: { token: Token; onClose: () => void }) {
  const remove = useRemoveToken();
  const confirm = () =>
    remove.mutate(token.id, {
      onSuccess: () => {
        notifyDone(t.tokens.removed(token.uid));
        onClose();
      },
    });
  return (
    <Modal
      opened
      onClose={onClose}
      title={t.tokens.removeTitle(token.uid)}
      closeButtonProps={{ "aria-label": t.dialog.close }}
    >
      <Stack gap="md">
        <p className={css.question}>{t.tokens.removeLead}</p>
        {remove.isError && <ProblemView cause={remove.error} />}
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={onClose} data-autofocus>
            {t.dialog.cancel}
          </Button>
          <Button color="red" loading={remove.isPending} onClick={confirm}>
            {t.tokens.removeSubmit}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
