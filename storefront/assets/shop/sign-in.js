// The form to log in or to make an account, wherever one is needed.

import { clone, part } from "../common/browser.js";
import { t, translate } from "../common/i18n.js";
import { register, signIn } from "../common/session.js";

/** The form; `done` is called once somebody is logged in. Staff do not make accounts themselves. */
export function signInForm(done, { staff = false } = {}) {
  const form = clone("sign-in", translate);
  form.querySelector(".choice").hidden = staff;
  const registers = () => form.way.value === "register";
  form.addEventListener("change", () => {
    part(form, "name-field").hidden = !registers();
    part(form, "send").textContent = t(registers() ? "account.register" : "account.login");
    form.password.autocomplete = registers() ? "new-password" : "current-password";
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const send = part(form, "send");
    if (send.disabled) return;
    send.disabled = true;
    const said = await attempt(form, registers());
    send.disabled = false;
    part(form, "said").textContent = said ?? "";
    if (said === null) done();
  });
  return form;
}

/** Null when it worked, else what to say. */
async function attempt(form, registers) {
  const email = form.email.value.trim();
  const password = form.password.value;
  try {
    if (registers) {
      const made = await register(email, password, form.name.value.trim());
      if (!made.ok) return refusal(await made.json(), made);
    }
    const answer = await signIn(email, password);
    return answer.ok ? null : refusal(await answer.json(), answer);
  } catch {
    return t("error.title");
  }
}

const LABELS = { email: "account.email", password: "account.password", name: "account.name" };

function refusal(problem, response) {
  if (response.status === 401) return t("account.wrong");
  if (problem.type?.endsWith("/already-registered")) return t("account.taken");
  if (problem.errors) {
    return problem.errors.map((e) => `${t(LABELS[e.field] ?? e.field)}: ${e.message}`).join(". ");
  }
  const seconds = Number.parseInt(response.headers.get("Retry-After"), 10);
  return seconds ? t("wait", { n: seconds }) : (problem.detail ?? t("error.title"));
}
