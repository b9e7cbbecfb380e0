"use strict";
// The network, in a worker of its own, so that the page stays responsive. All bytes come from this folder's scripts.

polygan.engine = (() => {
  const bytesOf = (text) => {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  };

  /** Bytes that the export packed: base64 of gzip. */
  const unpack = (text) =>
    new Response(new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();

  /** What runs in the worker. The function is sent as text and sees nothing of the page. */
  function work() {
    let ort;
    const sessions = {};
    const start = async ({ code, wasm, models }) => {
      ort = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
      ort.env.wasm.numThreads = 1; // threads need headers that a plain file server does not send
      ort.env.wasm.wasmBinary = wasm;
      for (const [part, model] of Object.entries(models)) {
        sessions[part] = await ort.InferenceSession.create(new Uint8Array(model), { executionProviders: ["wasm"] });
      }
      return {};
    };
    const run = async ({ inputs, part }) => {
      const session = sessions[part];
      const feeds = {};
      for (const [name, { type, data, dims }] of Object.entries(inputs)) feeds[name] = new ort.Tensor(type, data, dims);
      const begun = performance.now();
      const found = await session.run(feeds);
      const milliseconds = performance.now() - begun;
      const outputs = session.outputNames.map((name) => ({ data: new Float32Array(found[name].data), dims: [...found[name].dims] }));
      return { ...outputs[0], outputs, milliseconds };
    };
    self.onmessage = async ({ data }) => {
      try {
        const answer = await (data.models ? start(data) : run(data));
        self.postMessage({ id: data.id, answer }, (answer.outputs ?? []).map(({ data }) => data.buffer));
      } catch (error) {
        self.postMessage({ id: data.id, fault: String(error?.message ?? error) });
      }
    };
  }

  let worker, count = 0;
  const waiting = new Map();

  const ask = (message, transfer = []) =>
    new Promise((resolve, reject) => {
      const id = count++;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, ...message }, transfer);
    });

  /** Load the network, or each of its parts by its name. */
  const start = async () => {
    worker = new Worker(URL.createObjectURL(new Blob([`(${work})()`], { type: "text/javascript" })));
    worker.onmessage = ({ data: { id, answer, fault } }) => {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (fault === undefined) resolve(answer);
      else reject(new Error(fault));
    };
    worker.onerror = (event) => {
      for (const { reject } of waiting.values()) reject(new Error(event.message || "the worker did not start"));
      waiting.clear();
    };
    const names = ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"];
    const { onnx } = polygan.model;
    const parts = typeof onnx === "string" ? { "": onnx } : onnx;
    const [code, wasm, ...unpacked] = await Promise.all([
      ...names.map((name) => unpack(polygan.runtime[name])),
      ...Object.values(parts).map(unpack),
    ]);
    const models = Object.fromEntries(Object.keys(parts).map((part, i) => [part, unpacked[i]]));
    polygan.runtime = polygan.model.onnx = undefined; // megabytes of text that nobody needs any more
    await ask({ code, wasm, models }, [code, wasm, ...unpacked]);
  };

  /** The network's `outputs` for inputs `{name: {type, data, dims}}`; `data` and `dims` are those of the first output. `part`: of several networks, which. */
  const run = (inputs, part = "") => ask({ inputs, part });

  return { start, run };
})();
