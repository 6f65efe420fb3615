// People and what they may do (admins).

import { call, read } from "../common/api.js";
import { el } from "../common/browser.js";
import { t } from "../common/i18n.js";
import { render } from "../common/router.js";
import { attempt, choice, field, heading, more, note, table } from "./parts-of-page.js";

const ROLES = ["customer", "operator", "admin"];
const roles = () => ROLES.map((role) => [role, t(`role.${role}`)]);

export async function show({ place, url, signal }) {
  const cursor = url.searchParams.get("cursor");
  const { body } = await read(`/api/users?limit=50${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`, { signal });
  const said = note();
  const columns = ["name", "email", "role", "active"].map((name) => t(`users.${name}`));
  place.replaceChildren(
    heading(t("users.title")), said,
    table(t("users.title"), columns, body.items.map((person) => row(person, said))),
    more("/console/users", body.next_cursor),
    newPerson(),
  );
  return { title: t("users.title") };
}

function row(person, said) {
  const role = el("select", { "aria-label": `${t("users.role")}: ${person.email}` },
    ...roles().map(([key, text]) => el("option", { value: key, selected: key === person.role }, text)));
  const active = el("input", { type: "checkbox", checked: person.active, "aria-label": `${t("users.active")}: ${person.email}` });
  const change = async (body, undo) => {
    const path = `/api/users/${person.id}`;
    if (!(await attempt(said, async () => (person = (await call("PATCH", path, { body })).body)))) undo();
  };
  role.addEventListener("change", () => change({ role: role.value }, () => (role.value = person.role)));
  active.addEventListener("change", () => change({ active: active.checked }, () => (active.checked = person.active)));
  return [person.name, person.email, role, active];
}

function newPerson() {
  const said = note();
  const form = el("form", { class: "panel form narrow" }, el("h2", {}, t("users.new")),
    field(t("users.name"), "name", { required: true, maxlength: 120 }),
    field(t("users.email"), "email", { type: "email", required: true, maxlength: 254, autocomplete: "off" }),
    field(t("users.password"), "password", { type: "password", required: true, maxlength: 72, autocomplete: "new-password" }),
    choice(t("users.role"), "role", roles(), "operator"),
    said, el("button", { class: "primary" }, t("users.create")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { email, password, role } = form;
    const body = { name: form.elements.name.value.trim(), email: email.value, password: password.value, role: role.value };
    if (await attempt(said, () => call("POST", "/api/users", { body }))) render();
  });
  return form;
}
