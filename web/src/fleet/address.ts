/** Where stations connect, as far as this page can tell: the host that it came from. Without an id, its place stays empty. */
export function stationAddress(id = ""): string {
  const { protocol, host } = window.location;
  return `${protocol === "https:" ? "wss" : "ws"}://${host}/ocpp/${encodeURIComponent(id)}`;
}
