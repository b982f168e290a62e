/** Reads a stream of server-sent events to its end, as a browser does. */
export interface ReadEvent {
  readonly id: string;
  readonly name: string;
  readonly data: string;
}

export async function readEvents(url: string, signal: AbortSignal): Promise<readonly ReadEvent[]> {
  const response = await fetch(url, { signal, headers: { accept: "text/event-stream" } });
  const text = await response.text();
  return text
    .split("\n\n")
    .filter((frame) => frame.startsWith("id: "))
    .map((frame) => {
      const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "m").exec(frame)?.[1] ?? "";
      return { id: field("id"), name: field("event"), data: field("data") };
    });
}
