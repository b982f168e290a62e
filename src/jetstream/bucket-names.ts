/** How a KV bucket lies in its stream: NATS ADR-8, so that `nats kv` and every client library can read ours. */

export const streamOfBucket = (bucket: string): string => `KV_${bucket}`;

export const subjectOfKey = (bucket: string, key: string): string => `$KV.${bucket}.${key}`;

export const allKeysOf = (bucket: string): string => subjectOfKey(bucket, ">");

/** The key of a subject that `subjectOfKey` of this bucket made. */
export const keyOfSubject = (bucket: string, subject: string): string => subject.slice(subjectOfKey(bucket, "").length);
