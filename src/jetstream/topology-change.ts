/** What separates one declared stream, consumer or bucket from the server. */
export interface TopologyChange {
  readonly kind: "stream" | "consumer" | "bucket";
  readonly name: string;
  /** Of a consumer. */
  readonly stream?: string;
  /** `replace`: deleted and made again, because the server changes one of the settings in no other way. */
  readonly action: "create" | "update" | "replace" | "none";
  /** Those that differ; all that are declared where it is to be made. */
  readonly settings: readonly SettingChange[];
  /** What would be gone afterwards: a sentence. Applied only where that is allowed. */
  readonly losesData?: string;
  /** The server is not clustered: it holds one copy where several are declared. */
  readonly lowered?: { readonly from: number; readonly to: 1 };
  /** Durable consumers of a stream that nobody declared here; left alone. */
  readonly undeclared?: readonly string[];
}

export interface SettingChange {
  /** As in the declaration. */
  readonly setting: string;
  /** Durations in milliseconds; null for none. */
  readonly found: unknown;
  readonly wanted: unknown;
}
