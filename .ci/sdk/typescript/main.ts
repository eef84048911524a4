// Creates, lists and deletes an instance with the client that is generated for TypeScript.
// Usage: node main.js BASE KEY
import createClient from "openapi-fetch";
import type { components, paths } from "./api";

type Instance = components["schemas"]["Instance"];

function assert(holds: unknown, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

async function main([base, key]: string[]): Promise<void> {
  const client = createClient<paths>({ baseUrl: base, headers: { "X-API-Key": key } });

  const made = await client.POST("/instances", { body: { url: "demo://typescript", alias: "ts" } });
  assert(made.data, `create: ${made.response.status} ${made.error?.error}`);
  const instance: Instance = made.data;
  assert(instance.alias === "ts" && instance.meta.tags !== undefined, "the created instance");

  const listed = await client.GET("/instances");
  assert(listed.data?.some((one) => one.id === instance.id), "the list has it");

  const params = { path: { id: instance.id } };
  const deleted = await client.DELETE("/instances/{id}", { params });
  assert(deleted.response.status === 204, `delete: ${deleted.response.status}`);

  const missing = await client.GET("/instances/{id}", { params });
  assert(missing.response.status === 404 && missing.error?.error, "it is deleted");
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
