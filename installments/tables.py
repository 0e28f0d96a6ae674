"""Tables of plans as the migration makes them. What the database checks is in the migration's SQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from ledger.database import metadata
from ledger.tables import Code, Instant, optional, required

installment_products = Table(
    "installment_products",
    metadata,
    Column("code", Code, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    required("name", Text),
    required("effective_on", Date),
    required("installments", Integer),
    required("step", Code),
    required("every", Integer),
    required("first_share_basis_points", Integer),
    required("rounding", Code),
    required("price_min_kopecks", BigInteger),
    required("price_max_kopecks", BigInteger),
    required("order_lifetime_seconds", Integer),
    required("hold_lifetime_seconds", Integer),
    required("refund_policy", Code),
    required("penalty_basis_points", Integer),
    required("penalty_grace_days", Integer),
    required("is_committed_at_once", Boolean),
    required("is_fee_returned", Boolean),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    UniqueConstraint("code", "effective_on", name="installment_products_effective_key"),
)

installment_merchant_terms = Table(
    "installment_merchant_terms",
    metadata,
    Column("merchant_id", Code, primary_key=True),
    Column("product_code", Code, primary_key=True),
    Column("effective_on", Date, primary_key=True),
    required("fee_basis_points", Integer),
    optional("price_min_kopecks", BigInteger),
    optional("price_max_kopecks", BigInteger),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="installment_merchant_terms_merchant_fkey"),
)

operator_licences = Table(
    "operator_licences",
    metadata,
    Column("effective_on", Date, primary_key=True),
    required("register_number", Code),
    required("is_active", Boolean),
    required("capital_kopecks", BigInteger),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
)

installment_plans = Table(
    "installment_plans",
    metadata,
    Column("id", Code, primary_key=True),
    required("merchant_id", Code),
    required("order_number", Code),
    required("product_code", Code),
    required("product_version", Integer),
    required("price_kopecks", BigInteger),
    required("prepaid_kopecks", BigInteger, "0"),
    required("items", JSONB, "'[]'"),
    required("status", Code, "'new'"),
    required("standing", Code, "'none'"),
    required("link_code", Code),
    optional("buyer_id", Code),
    optional("contract_on", Date),
    optional("collector", Code),
    optional("card_token", Code),
    optional("first_payment_id", Code),
    optional("binding_id", Code),
    optional("fee_basis_points", Integer),
    required("fee_kopecks", BigInteger, "0"),
    required("refunded_kopecks", BigInteger, "0"),
    required("outstanding_kopecks", BigInteger, "0"),
    required("overpaid_kopecks", BigInteger, "0"),
    required("penalty_kopecks", BigInteger, "0"),
    optional("next_due_on", Date),
    required("is_paused", Boolean, "false"),
    optional("reason", Text),
    required("created_at", Instant),
    optional("expires_at", Instant),
    optional("committed_at", Instant),
    optional("ended_at", Instant),
    required("version", Integer, "1"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="installment_plans_merchant_fkey"),
    ForeignKeyConstraint(
        ["product_code", "product_version"],
        ["installment_products.code", "installment_products.version"],
        name="installment_plans_product_fkey",
    ),
    ForeignKeyConstraint(["buyer_id"], ["buyers.id"], name="installment_plans_buyer_fkey"),
    ForeignKeyConstraint(["first_payment_id"], ["card_payments.id"], name="installment_plans_payment_fkey"),
    UniqueConstraint("merchant_id", "order_number", name="installment_plans_order_key"),
    UniqueConstraint("link_code", name="installment_plans_link_key"),
    Index("installment_plans_of_buyer", "buyer_id", "id", postgresql_where=text("buyer_id IS NOT NULL")),
    Index("installment_plans_expiring", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
    Index("installment_plans_overdue", "id", postgresql_where=text("standing = 'overdue'")),
    Index("installment_plans_moving", "id", postgresql_where=text("status IN ('wait_for_commit', 'committed')")),
    Index("installment_plans_overpaid", "id", postgresql_where=text("overpaid_kopecks > 0")),
    Index("installment_plans_of_merchant", "merchant_id", "id"),
)

installments = Table(
    "installments",
    metadata,
    Column("plan_id", Code, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    required("due_on", Date),
    required("amount_kopecks", BigInteger),
    required("paid_kopecks", BigInteger, "0"),
    required("bucket", Code, "'not_due'"),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="installments_plan_fkey"),
    Index("installments_unpaid", "bucket", "due_on", postgresql_where=text("paid_kopecks < amount_kopecks")),
    Index("installments_due", "due_on", "plan_id", postgresql_where=text("paid_kopecks < amount_kopecks")),
)

plan_movements = Table(
    "plan_movements",
    metadata,
    Column("id", Code, primary_key=True),
    required("plan_id", Code),
    required("kind", Code),
    required("amount_kopecks", BigInteger),
    required("happened_at", Instant),
    required("recorded_at", Instant),
    required("reference", Code),
    optional("undoes", Code),
    optional("policy", Code),
    optional("installment_number", Integer),
    optional("new_due_on", Date),
    optional("count", Integer),
    optional("step", Code),
    optional("every", Integer),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_movements_plan_fkey"),
    ForeignKeyConstraint(["undoes"], ["plan_movements.id"], name="plan_movements_undoes_fkey"),
    UniqueConstraint("plan_id", "reference", name="plan_movements_reference_key"),
    Index("plan_movements_undone_once", "undoes", unique=True, postgresql_where=text("kind = 'undo'")),
    Index("plan_movements_credits", "plan_id", postgresql_where=text("kind = 'credit_refund'")),
)

plan_first_payments = Table(
    "plan_first_payments",
    metadata,
    Column("payment_id", Code, primary_key=True),
    required("plan_id", Code),
    required("number", Integer),
    required("created_at", Instant),
    optional("settled_at", Instant),
    ForeignKeyConstraint(["payment_id"], ["card_payments.id"], name="plan_first_payments_payment_fkey"),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_first_payments_plan_fkey"),
    UniqueConstraint("plan_id", "number", name="plan_first_payments_number_key"),
    Index("plan_first_payments_open", "plan_id", postgresql_where=text("settled_at IS NULL")),
)

plan_refunds = Table(
    "plan_refunds",
    metadata,
    Column("plan_id", Code, primary_key=True),
    Column("refund_id", Code, primary_key=True),
    required("kind", Code),
    required("amount_kopecks", BigInteger),
    required("prepaid_kopecks", BigInteger, "0"),
    required("returned_items", JSONB, "'[]'"),
    optional("new_items", JSONB),
    required("total_kopecks", BigInteger),
    required("created_at", Instant),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_refunds_plan_fkey"),
)

plan_credit_refunds = Table(
    "plan_credit_refunds",
    metadata,
    Column("card_refund_id", Code, primary_key=True),
    required("plan_id", Code),
    required("payment_id", Code),
    required("amount_kopecks", BigInteger),
    required("movement_id", Code),
    required("created_at", Instant),
    optional("ended_at", Instant),
    required("is_refused", Boolean, "false"),
    ForeignKeyConstraint(["card_refund_id"], ["card_refunds.id"], name="plan_credit_refunds_refund_fkey"),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_credit_refunds_plan_fkey"),
    ForeignKeyConstraint(["payment_id"], ["card_payments.id"], name="plan_credit_refunds_payment_fkey"),
    ForeignKeyConstraint(["movement_id"], ["plan_movements.id"], name="plan_credit_refunds_movement_fkey"),
    Index("plan_credit_refunds_plan", "plan_id"),
    Index("plan_credit_refunds_open", "plan_id", postgresql_where=text("ended_at IS NULL")),
)

plan_bank_returns = Table(
    "plan_bank_returns",
    metadata,
    Column("bank_reference", Code, primary_key=True),
    required("plan_id", Code),
    required("amount_kopecks", BigInteger),
    required("refused_kopecks", BigInteger),
    required("created_at", Instant),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_bank_returns_plan_fkey"),
    Index("plan_bank_returns_plan", "plan_id"),
)

debt_sales = Table(
    "debt_sales",
    metadata,
    Column("id", Code, primary_key=True),
    required("to_inn", Code),
    required("contract_number", Text),
    required("proceeds_kopecks", BigInteger),
    required("sold_at", Instant),
    UniqueConstraint("to_inn", "contract_number", name="debt_sales_contract_key"),
)

debt_sale_plans = Table(
    "debt_sale_plans",
    metadata,
    Column("plan_id", Code, primary_key=True),
    required("sale_id", Code),
    required("amount_kopecks", BigInteger),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="debt_sale_plans_plan_fkey"),
    ForeignKeyConstraint(["sale_id"], ["debt_sales.id"], name="debt_sale_plans_sale_fkey"),
    Index("debt_sale_plans_of_sale", "sale_id", "plan_id"),
)

plan_operator = Table(
    "plan_operator",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    required("merchant_id", Code),
    ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="plan_operator_merchant_fkey"),
)

plan_books = Table(
    "plan_books",
    metadata,
    Column("plan_id", Code, primary_key=True),
    required("held_kopecks", BigInteger, "0"),
    required("reserved_kopecks", BigInteger, "0"),
    required("fee_recognised_kopecks", BigInteger, "0"),
    optional("fee_next_on", Date),
    required("penalty_accrued_kopecks", BigInteger, "0"),
    required("penalty_waived_kopecks", BigInteger, "0"),
    required("written_off_kopecks", BigInteger, "0"),
    required("recovered_kopecks", BigInteger, "0"),
    optional("accrued_on", Date),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_books_plan_fkey"),
    Index("plan_books_fee_next", "fee_next_on", "plan_id", postgresql_where=text("fee_next_on IS NOT NULL")),
)

plan_nights = Table(
    "plan_nights",
    metadata,
    Column("night_on", Date, primary_key=True),
    Column("step", Code, primary_key=True),
    required("after_plan_id", Code, "''"),
    required("batches", Integer, "0"),
    required("plans", Integer, "0"),
    required("amount_kopecks", BigInteger, "0"),
    required("began_at", Instant),
    optional("ended_at", Instant),
)

plan_card_changes = Table(
    "plan_card_changes",
    metadata,
    Column("payment_id", Code, primary_key=True),
    required("plan_id", Code),
    required("card_token", Code),
    required("consent", Text),
    required("asked_by", Code),
    required("status", Code, "'asked'"),
    optional("reason", Code),
    required("created_at", Instant),
    optional("ended_at", Instant),
    optional("settled_at", Instant),
    ForeignKeyConstraint(["payment_id"], ["card_payments.id"], name="plan_card_changes_payment_fkey"),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_card_changes_plan_fkey"),
    Index("plan_card_changes_of_plan", "plan_id", "created_at"),
    Index("plan_card_changes_one_asked", "plan_id", unique=True, postgresql_where=text("status = 'asked'")),
    Index("plan_card_changes_open", "plan_id", postgresql_where=text("settled_at IS NULL")),
)

plan_setbacks = Table(
    "plan_setbacks",
    metadata,
    Column("step", Code, primary_key=True),
    Column("plan_id", Code, primary_key=True),
    required("code", Code),
    required("tries", Integer, "1"),
    required("first_at", Instant),
    required("last_at", Instant),
    optional("settled_at", Instant),
    ForeignKeyConstraint(["plan_id"], ["installment_plans.id"], name="plan_setbacks_plan_fkey"),
)

plan_loss_rates = Table(
    "plan_loss_rates",
    metadata,
    Column("effective_on", Date, primary_key=True),
    Column("bucket", Code, primary_key=True),
    required("basis_points", Integer),
    required("grade", Code),
    required("source", Text),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
)
