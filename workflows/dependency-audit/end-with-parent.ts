/**
 * Loaded into every child of the demo before its own script (`node --import`): when the IPC channel to the demo breaks,
 * the demo is gone, even if by a kill -9 that left it no time, and the child ends as it does on any SIGTERM.
 */
process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
// The listener above would keep the process open.
process.channel?.unref();
