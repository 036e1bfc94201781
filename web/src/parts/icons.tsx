import type { ReactNode, SVGProps } from "react";

type Props = SVGProps<SVGSVGElement> & { size?: number };

/** Icons are drawn on a 24 grid with one stroke width, and say nothing to screen readers: words stand beside them. */
function draw({ size = 18, ...rest }: Props, shape: ReactNode) {
  return (
    <svg
      viewBox="0 0 24 24"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      strokeWidth={1.9}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      {...rest}
    >
      {shape}
    </svg>
  );
}

export const BoltIcon = (p: Props) => draw(p, <path d="M13 3 5 13.500h6L10 21l8.5-11H12.500z" />);
export const StationIcon = (p: Props) =>
  draw(
    p,
    <>
      <path d="M5 20V5.500A1.5 1.5 0 0 1 6.5 4h6A1.5 1.5 0 0 1 14 5.500V20M3.5 20h12" />
      <path d="M10 8 8 11h3l-2 3M14 12h2a1.5 1.5 0 0 1 1.5 1.500v3a1.5 1.5 0 0 0 3 0V9l-3-3" />
    </>,
  );
export const SessionIcon = (p: Props) =>
  draw(
    p,
    <>
      <circle cx="12" cy="12" r="8.5" />
      <path d="M12 7v5l3.5 2" />
    </>,
  );
export const TokenIcon = (p: Props) =>
  draw(
    p,
    <>
      <rect x="3.5" y="6" width="17" height="12.5" rx="2" />
      <path d="M3.500 10.500h17M7 15h4" />
    </>,
  );
export const BarsIcon = (p: Props) => draw(p, <path d="M4 20h16M7 16v-4M12 16V5M17 16V9" />);
export const NodeIcon = (p: Props) =>
  draw(
    p,
    <>
      <rect x="4" y="4.5" width="16" height="6" rx="1.5" />
      <rect x="4" y="13.5" width="16" height="6" rx="1.5" />
      <path d="M8 7.500h.1M8 16.500h.1" strokeWidth={2.4} />
    </>,
  );
export const SearchIcon = (p: Props) =>
  draw(
    p,
    <>
      <circle cx="11" cy="11" r="6.5" />
      <path d="m16 16 4.5 4.5" />
    </>,
  );
export const SunIcon = (p: Props) =>
  draw(
    p,
    <>
      <circle cx="12" cy="12" r="4" />
      <path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.400M5.6 18.4 7 17M17 7l1.4-1.4" />
    </>,
  );
export const MoonIcon = (p: Props) => draw(p, <path d="M19.5 14.500A8 8 0 0 1 9.5 4.500a8 8 0 1 0 10 10z" />);
export const AutoIcon = (p: Props) =>
  draw(
    p,
    <>
      <circle cx="12" cy="12" r="8" />
      <path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor" />
    </>,
  );
export const UserIcon = (p: Props) =>
  draw(
    p,
    <>
      <circle cx="12" cy="8" r="4" />
      <path d="M4.5 20.500c.8-4 3.8-6 7.5-6s6.7 2 7.5 6" />
    </>,
  );
export const StopIcon = (p: Props) => draw(p, <rect x="6.5" y="6.5" width="11" height="11" rx="2" />);
export const PauseIcon = (p: Props) => draw(p, <path d="M8.5 6v12M15.5 6v12" />);
export const PlayIcon = (p: Props) => draw(p, <path d="M8 5.500v13l10-6.500z" />);
export const CheckIcon = (p: Props) => draw(p, <path d="m5 12.5 4.5 4.500L19 7.5" />);
export const CrossIcon = (p: Props) => draw(p, <path d="m6.5 6.5 11 11M17.5 6.500l-11 11" />);
export const AlertIcon = (p: Props) => draw(p, <path d="M12 4 3 19.500h18zM12 10v4.500M12 17v.1" />);
export const LockIcon = (p: Props) =>
  draw(
    p,
    <>
      <rect x="5.5" y="11" width="13" height="9" rx="2" />
      <path d="M8.5 11V8a3.5 3.5 0 0 1 6.5-1.8" />
    </>,
  );
export const ResetIcon = (p: Props) => draw(p, <path d="M5 12a7 7 0 1 0 2.2-5.100L5 9M5 4.500V9h4.5" />);
export const PowerIcon = (p: Props) => draw(p, <path d="M12 3.500V12M7 6.500a7.5 7.5 0 1 0 10 0" />);
export const PencilIcon = (p: Props) =>
  draw(p, <path d="M4.5 19.5 5.5 15 16 4.500l3.5 3.500L9 18.500zM13.5 7l3.5 3.5" />);
export const MoreIcon = (p: Props) =>
  draw(p, <path d="M5.500 12h.1M12 12h.1M18.500 12h.1" strokeWidth={2.8} />);
export const PlusIcon = (p: Props) => draw(p, <path d="M12 5.500v13M5.500 12h13" />);
export const DownIcon = (p: Props) => draw(p, <path d="M12 5v14M6 13l6 6 6-6" />);
export const UpIcon = (p: Props) => draw(p, <path d="M12 19V5M6 11l6-6 6 6" />);
export const ChevronIcon = (p: Props) => draw(p, <path d="m9 6 6 6-6 6" />);
export const LeftIcon = (p: Props) => draw(p, <path d="m15 6-6 6 6 6" />);
export const LinkIcon = (p: Props) =>
  draw(p, <path d="M9 8 6.5 10.500a4.2 4.2 0 0 0 6 6L15 14M15 16l2.5-2.500a4.2 4.2 0 0 0-6-6L9 10" />);
export const ClockIcon = (p: Props) =>
  draw(
    p,
    <>
      <circle cx="12" cy="12" r="8.5" />
      <path d="M12 7.500V12h4" />
    </>,
  );
export const DashIcon = (p: Props) => draw(p, <path d="M7 12h10" />);
export const HalfIcon = (p: Props) =>
  draw(
    p,
    <>
      <circle cx="12" cy="12" r="8" />
      <path d="M10 9v6M14 9v6" />
    </>,
  );
