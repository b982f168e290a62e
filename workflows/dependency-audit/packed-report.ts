/**
 * The report on its way from the workflow to whoever asked for it. A run's output may have 128 KiB and the report of 1,600
 * packages has some 900; its rows are so alike that a tenth of that remains (measured: about 60 bytes a package).
 */
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { z } from "zod";
import { AuditReport } from "./messages.js";

export const PackedReport = z.object({ encoding: z.literal("json+brotli+base64"), data: z.base64() });
export type PackedReport = z.infer<typeof PackedReport>;

/** Far above any report of 1,600 packages; what unpacks to more was not packed here. */
const reportBytesMax = 16 * 1024 * 1024;

/** The best quality takes a report of 1,600 packages some seconds, in which the worker does nothing else. */
const params = { [constants.BROTLI_PARAM_QUALITY]: 6 };

export function packReport(report: AuditReport): PackedReport {
  const packed = brotliCompressSync(JSON.stringify(report), { params });
  return { encoding: "json+brotli+base64", data: packed.toString("base64") };
}

/** Throws a ZodError, SyntaxError or zlib error for what `packReport` did not make. */
export function unpackReport(output: unknown): AuditReport {
  const packed = Buffer.from(PackedReport.parse(output).data, "base64");
  const json = brotliDecompressSync(packed, { maxOutputLength: reportBytesMax }).toString("utf8");
  return AuditReport.parse(JSON.parse(json));
}
