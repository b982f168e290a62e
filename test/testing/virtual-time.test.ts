import { expect, test } from "vitest";
import { type Driven, VirtualTime } from "../../src/testing/virtual-time.js";

/** Something is always due in an hour, and nothing ever comes of it. */
function givenPatrol(): Driven {
  return {
    now: 0,
    news: new Promise(() => undefined),
    isBusy: false,
    leaveBehind: () => undefined,
    get nextDeadlineAt() {
      return this.now + 3_600_000;
    },
    settle: async () => await Promise.resolve(),
  };
}

test("what cannot come, while something goes round for ever, is not waited for for ever", async () => {
  const driven = givenPatrol();
  const time = new VirtualTime(driven);
  const result = time.wait(
    () => false,
    "may pass",
    () => "patrol-1 is running",
  );
  await expect(result).rejects.toMatchObject({
    code: "REQUEST_TIMED_OUT",
    message: expect.stringMatching(/^the clock .* jumped 10000 times, to 1971-02-.*; patrol-1 is running\. Does/),
  });
});

test("time that is to pass passes, however much happens in it", async () => {
  const driven = givenPatrol();
  await new VirtualTime(driven).sleep(20_000 * 3_600_000);
  expect(driven.now).toBe(20_000 * 3_600_000);
});
