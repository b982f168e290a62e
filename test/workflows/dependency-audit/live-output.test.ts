import { describe, expect, it } from "vitest";
import { LiveOutput } from "../../../workflows/dependency-audit/live-output.js";

function given(stream: { isTTY?: boolean; columns?: number }) {
  const written: string[] = [];
  let now = 0;
  const write = (text: string): void => void written.push(text);
  return {
    output: new LiveOutput({ ...stream, write }, () => now),
    passMs: (ms: number): void => {
      now += ms;
    },
    take: () => written.splice(0).join(""),
  };
}

const clearLine = "\r\u001b[2K";

describe("live output on a terminal", () => {
  it("writes one line over and puts what stays above it", () => {
    const { output, take } = given({ isTTY: true, columns: 80 });

    output.say("begun");
    output.show("1/3");
    output.show("2/3");
    output.say("killed");

    expect(take()).toBe(`begun\n${clearLine}1/3${clearLine}2/3${clearLine}killed\n2/3`);
  });

  it("takes the line away at the end", () => {
    const { output, take } = given({ isTTY: true, columns: 80 });
    output.show("3/3");

    output.clear();
    output.say("done");

    expect(take()).toBe(`${clearLine}3/3${clearLine}done\n`);
  });

  it("leaves the last column free", () => {
    expect(given({ isTTY: true, columns: 80 }).output.width).toBe(79);
  });
});

describe("live output elsewhere", () => {
  it("prints how far it is once a second, and only news", () => {
    const { output, passMs, take } = given({});

    output.show("1/3");
    passMs(500);
    output.show("2/3");
    passMs(500);
    output.show("3/3");
    passMs(1_000);
    output.show("3/3");
    output.say("done");
    output.clear();

    expect(take()).toBe("1/3\n3/3\ndone\n");
  });
});
