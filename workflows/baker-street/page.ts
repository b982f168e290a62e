/** The page that the brain shows in a browser: hands in a job and follows it live. */
export const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Baker Street</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
  textarea { width: 100%; height: 8rem; font: 13px/1.4 monospace; box-sizing: border-box }
  li { font: 13px/1.6 monospace; overflow-wrap: anywhere }
  .completed { color: #06703b } .failed { color: #a31111 }
</style>
<h1>Baker Street</h1>
<form>
  <label for="job">A job</label>
  <textarea id="job">{"type": "text.words", "input": "when you have eliminated the impossible"}</textarea>
  <button>Hand in</button>
</form>
<p id="state" role="status"></p>
<ol id="events"></ol>
<h2>Extensions</h2>
<ul id="extensions"></ul>
<script>
  const at = (id) => document.getElementById(id);
  const add = (list, text, kind) => {
    const item = document.createElement("li");
    item.textContent = text;
    item.className = kind ?? "";
    at(list).append(item);
  };
  const follow = (jobId, events) => {
    at("events").replaceChildren();
    at("state").textContent = jobId;
    const source = new EventSource(events);
    source.addEventListener("status", ({ data }) => add("events", data));
    source.addEventListener("result", ({ data }) => {
      source.close();
      const { status } = JSON.parse(data);
      add("events", data, status);
      at("state").textContent = jobId + ": " + status;
    });
  };
  document.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const headers = { "content-type": "application/json" };
    const response = await fetch("/jobs", { method: "POST", headers, body: at("job").value });
    const answer = await response.json();
    if (response.ok) follow(answer.jobId, answer.events);
    else at("state").textContent = answer.error.message;
  });
  // A link to a job: /?job=<id>
  const linked = new URLSearchParams(location.search).get("job");
  if (linked !== null) follow(linked, "/jobs/" + encodeURIComponent(linked) + "/events");
  const showExtensions = async () => {
    const extensions = await (await fetch("/extensions")).json();
    at("extensions").replaceChildren();
    for (const { id, state, tools } of extensions) add("extensions", id + " (" + state + "): " + tools.join(", "));
  };
  showExtensions();
  setInterval(showExtensions, 2000);
</script>
</html>
`;
