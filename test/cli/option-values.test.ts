import { expect, it } from "vitest";
import { parseCount, parseDuration, parsePort } from "../../src/cli/option-values.js";
import { durationText } from "../../src/cli/time-text.js";

it.each<[string, number]>([
  ["500ms", 500],
  ["1s", 1_000],
  ["1.5s", 1_500],
  ["5m", 300_000],
  ["2h", 7_200_000],
  ["1d", 86_400_000],
])("reads %s", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

it.each(["", "5", "s", "-1s", "1 s", "0s", "0.4ms", "1w", "1e3s", "99999999d"])("reads no duration in %j", (text) => {
  expect(() => parseDuration(text)).toThrow("Give a number and its unit");
});

it.each(["", "-1", "1.5", "1e3", "0x10", " 1"])("reads neither a count nor a port in %j", (text) => {
  expect(() => parseCount(text)).toThrow("Give a whole number");
  expect(() => parsePort(text)).toThrow("Give a port");
});

it.each<[number, string]>([
  [-5, "0ms"],
  [999, "999ms"],
  [3_250, "3.2s"],
  [59_999, "59s"],
  [250_000, "4m10s"],
  [7_500_000, "2h5m"],
  [273_600_000, "3d4h"],
])("writes %i ms as %s", (ms, text) => {
  expect(durationText(ms)).toBe(text);
});
