// Outside the page because the Content-Security-Policy allows no inline script.
"use strict";

window.addEventListener("load", () => {
  SwaggerUIBundle({
    dom_id: "#docs",
    urls: [
      { name: "Catálogo", url: "/openapi/catalog.json" },
      { name: "Carrinho", url: "/openapi/cart.json" },
      { name: "Pedidos e contas", url: "/openapi/orders.json" },
    ],
    "urls.primaryName": "Catálogo",
    layout: "StandaloneLayout",
    // The maker's logo carries an inline style, which the policy would block with a warning.
    plugins: [() => ({ components: { Logo: () => null } })],
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    deepLinking: true,
    displayRequestDuration: true,
    filter: true,
    persistAuthorization: false,
    tryItOutEnabled: true,
    // The badge of a public validator would send the document to the internet.
    validatorUrl: null,
  });
});
