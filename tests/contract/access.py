"""Who may call what: one line for each operation that there is."""

from __future__ import annotations

# What each service tells the operators' doors at orders.
INSIDE = {
    "GET /internal/parts": "service",
    "GET /internal/dead-letters": "service",
    "POST /internal/dead-letters/{letter_id}/replay": "service",
}
ACCESS = {
    "catalog": {
        "GET /api/products": "public",
        "POST /api/products": "operator",
        "GET /api/products/off-sale": "operator",
        "GET /api/products/{product_id}": "public",
        "PATCH /api/products/{product_id}": "operator",
        "DELETE /api/products/{product_id}": "operator",
        "GET /api/products/{product_id}/stock": "public",
        "POST /api/products/{product_id}/stock-adjustments": "operator",
        "GET /api/products/{product_id}/stock-movements": "operator",
        "GET /api/categories": "public",
        "POST /api/categories": "operator",
        "GET /api/produtos": "public",
        "GET /api/produtos/{produto_id}": "public",
        "GET /api/produtos/{produto_id}/estoque": "public",
        "PUT /api/produtos/{produto_id}/estoque": "operator",
        "POST /api/reservations": "service",
        "POST /api/reservations/{reservation_id}/commit": "service",
        "DELETE /api/reservations/{reservation_id}": "service",
        "GET /internal/products": "service",
        **INSIDE,
        "POST /replica/event": "replica",
        "POST /api/stock-transfers": "operator",
        "GET /api/stock-transfers": "operator",
        "GET /api/products/{product_id}/lost-edits": "operator",
    },
    "cart": {
        "POST /api/carts": "public",
        "GET /api/carts/{cart_id}": "public",
        "DELETE /api/carts/{cart_id}": "public",
        "POST /api/carts/{cart_id}/items": "public",
        "PUT /api/carts/{cart_id}/items/{product_id}": "public",
        "DELETE /api/carts/{cart_id}/items/{product_id}": "public",
        "POST /api/carrinho/sessao": "public",
        "GET /api/carrinho/{session_id}": "public",
        "POST /api/carrinho/{session_id}/adicionar": "public",
        **INSIDE,
    },
    "orders": {
        "POST /auth/register": "public",
        "POST /auth/login": "public",
        "POST /auth/refresh": "public",
        "POST /auth/logout": "public",
        "GET /auth/me": "customer",
        "GET /.well-known/jwks.json": "public",
        "GET /api/users": "admin",
        "POST /api/users": "admin",
        "PATCH /api/users/{user_id}": "admin",
        "POST /api/orders": "customer",
        "GET /api/orders": "customer",
        "GET /api/orders/{order_id}": "customer",
        "GET /api/orders/{order_id}/timeline": "customer",
        "GET /api/orders/{order_id}/events": "customer",
        "POST /api/orders/{order_id}/cancel": "customer",
        "POST /api/orders/{order_id}/status": "operator",
        "GET /internal/orders/{order_id}": "service",
        "GET /internal/revocations": "service",
        "GET /api/parts": "operator",
        "GET /api/dead-letters": "operator",
        "POST /api/dead-letters/{group}/{letter_id}/replay": "operator",
        **INSIDE,
        "POST /internal/replica": "service",
        "GET /api/customers": "operator",
        "PATCH /api/customers/{email}": "operator",
        "GET /api/customers/{email}/lost-edits": "operator",
        "GET /api/branch-orders": "operator",
    },
}
# Not in the documents; of these only pictures are routed by the gateway as they are.
UNDOCUMENTED = {"/health", "/ready", "/metrics", "/status", "/openapi.json", "/images/<sku>.svg"}
ROUTES = [(service, route) for service, table in ACCESS.items() for route in table]


def routes(*levels: str) -> list[tuple[str, str]]:
    """(service, route) of all operations with one of these levels."""
    return [(service, route) for service, route in ROUTES if ACCESS[service][route] in levels]
