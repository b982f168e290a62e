/** `perdure doctor`: looks at a set-up from end to end, and says what is wrong and what to do. */
import type { Command } from "commander";
import type { DoctorReport } from "../../doctor/examine.js";
import type { CheckReport, Finding } from "../../doctor/finding.js";
import { type ExitStatus, exitStatus } from "../exit-status.js";
import { printJson, printLines, say } from "../messages.js";
import { parseDuration } from "../option-values.js";
import { type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import type { Settings } from "../settings.js";
import { type Paint, type Style, styleOf } from "../style.js";
import { oneLine, padTo } from "../terminal-text.js";
import { runVerb } from "../verb.js";

interface DoctorOptions extends FormatOptions {
  readonly observe: number;
  readonly monitoring?: string;
  readonly storeDir: string;
}

const OBSERVE_MS_DEFAULT = 2_000;
/** Of each question: shorter than elsewhere, because nobody is asked twice. */
const QUESTION_TIMEOUT_MS = 3_000;

const statusHelp = `
Exit status: 0 no problem (there may be warnings), 4 no server, or one that went away meanwhile, 6 any other problem.
Each finding has a code; docs/doctor.md explains them.`;

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .description("look at server, storage, orchestrator, clocks, disk, agents and tasks, and say what to do")
    .option("--observe <duration>", "how long to listen to agents (default: 2s)", parseDuration, OBSERVE_MS_DEFAULT)
    .option("--monitoring <url>", "nats-server's monitoring port (default: port 8222 of its host)")
    .option("--store-dir <folder>", "store of a server that perdure dev started here", ".perdure")
    .addHelpText("after", statusHelp);
  withFormatOptions(command).action(async (options: DoctorOptions, verb: Command) => {
    await runVerb(verb, (settings) => runDoctor(settings, options));
    // Whatever a broken server left open must not keep the process.
    process.exit();
  });
}

async function runDoctor(settings: Settings, options: DoctorOptions): Promise<ExitStatus> {
  const [{ examine }, { localServerAt }] = await Promise.all([
    import("../../doctor/examine.js"),
    import("../local-server.js"),
  ]);
  const { options: connection, context } = settings.connection();
  if (context?.jetStreamElsewhere !== undefined) {
    say(
      `context "${context.name}" reaches JetStream as "${context.jetStreamElsewhere}"; the doctor looks at that of the account itself`,
    );
  }
  const report = await examine({
    connection,
    namespace: settings.namespace,
    timeoutMs: settings.timeoutMs ?? QUESTION_TIMEOUT_MS,
    observeMs: options.observe,
    monitoringUrl: options.monitoring,
    local: await localServerAt(options.storeDir),
  });
  const format = formatOf(options);
  if (format === "json") printJson(report);
  else if (format === "jsonl") for (const check of report.checks) printJson(check);
  else printLines(reportLines(report, styleOf(process.stdout, settings.environment)));
  if (report.verdict !== "problem") return exitStatus.ok;
  return report.reached === "yes" ? exitStatus.refused : exitStatus.noNats;
}

type Status = CheckReport["status"];

const paintOf: Readonly<Record<Status, Paint>> = { ok: "green", warning: "yellow", problem: "red", skipped: "dim" };
const STATUS_WIDTH = 9;
const CHECK_WIDTH = 14;
const INDENT = " ".repeat(STATUS_WIDTH);

function reportLines({ checks, namespace, server }: DoctorReport, style: Style): readonly string[] {
  return [
    style.paint("bold", `namespace ${namespace}${server === null ? "" : ` on ${server}`}`),
    "",
    ...checks.filter(({ status }) => status !== "skipped").flatMap((check) => checkLines(check, style)),
    ...skippedLines(checks, style),
    "",
    summaryLine(checks, style),
  ];
}

function checkLines({ check, status, seen, findings }: CheckReport, style: Style): readonly string[] {
  const head = style.paint(paintOf[status], padTo(status, STATUS_WIDTH, "left"));
  return [
    `${head}${padTo(check, CHECK_WIDTH, "left")}${oneLine(seen.join("; "))}`.trimEnd(),
    ...findings.flatMap((finding) => findingLines(finding, style)),
  ];
}

function findingLines({ code, severity, summary, advice }: Finding, style: Style): readonly string[] {
  return [
    `${INDENT}${style.paint(paintOf[severity], code)}: ${oneLine(summary)}`,
    `${INDENT}  ${style.paint("bold", "do:")} ${oneLine(advice)}`,
  ];
}

/** Checks that were left out for the same reason are one line. */
function skippedLines(checks: readonly CheckReport[], style: Style): readonly string[] {
  const byReason = new Map<string, string[]>();
  for (const { check, skipped } of checks) {
    for (const why of skipped) byReason.set(why, [...(byReason.get(why) ?? []), check]);
  }
  if (byReason.size === 0) return [];
  const lines = [...byReason].map(([why, names]) =>
    style.paint("dim", `${INDENT}${names.join(", ")}: ${oneLine(why)}`),
  );
  return ["", style.paint("dim", "not checked"), ...lines];
}

function summaryLine(checks: readonly CheckReport[], style: Style): string {
  const findings = checks.flatMap((check) => check.findings);
  const count = (severity: Finding["severity"]): string => {
    const number = findings.filter((finding) => finding.severity === severity).length;
    return style.paint(number === 0 ? "dim" : paintOf[severity], `${number} ${severity}${number === 1 ? "" : "s"}`);
  };
  return `${count("problem")}, ${count("warning")}`;
}
