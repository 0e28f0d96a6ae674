"""Who sells: five merchants with stores and tills, as the demo's own little town."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.demo.purchases import Purchase
from checkout.bank_details import BankAccount, account_with_key, check_inn


@dataclass(frozen=True, slots=True)
class StorePlan:
    """A store to be opened, with its tills."""

    name: str
    address: str
    tills: int


@dataclass(frozen=True, slots=True)
class Seller:
    """A merchant to be taken in. All of them are invented; only check digits and the banks' BIKs are right."""

    name: str
    legal_name: str
    inn: str
    account: BankAccount
    """With a key that is put right before it is sent."""
    tariff_group: str
    stores: tuple[StorePlan, ...]

    def body(self) -> dict[str, Any]:
        """What the API is asked."""
        check_inn(self.inn)
        account = account_with_key(self.account)
        return {
            "name": self.name,
            "legal_name": self.legal_name,
            "inn": self.inn,
            "bank_account": {"bik": account.bik, "number": account.number},
            "tariff_group": self.tariff_group,
        }


SELLERS = (
    Seller(
        "Пластинка", "ООО «Пластинка»", "7701900122", BankAccount("044525225", "40702810038000000101"), "standard",
        (StorePlan("На Тверской", "Москва, Тверская, 15", 2), StorePlan("На Арбате", "Москва, Арбат, 30", 2)),
    ),
    Seller(
        "Ёлка и нота", "ООО «Ёлка и нота»", "7801900126", BankAccount("044525974", "40702810010000000202"), "standard",
        (StorePlan("На Литейном", "Санкт-Петербург, Литейный, 57", 2), StorePlan("Сайт", "elka-i-nota.example", 1)),
    ),
    Seller(
        "Книги у моста", "АО «Книги у моста»", "5401900128", BankAccount("044525593", "40702810002000000303"),
        "everyday", (StorePlan("У Коммунального моста", "Новосибирск, Красный проспект, 2", 2),),
    ),
    Seller(
        "Кофе и винил", "ИП Соловьёва Анна Игоревна", "662300000112", BankAccount("046577674", "40802810016000000404"),
        "everyday", (StorePlan("На Вайнера", "Екатеринбург, Вайнера, 9", 2),),
    ),
    Seller(
        "Дом культуры «Заря»", "МБУК ДК «Заря»", "1601900128", BankAccount("049205603", "40703810062000000505"),
        "government", (StorePlan("Касса ДК", "Казань, Баумана, 44", 1),),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Till:
    """A terminal that is open."""

    terminal_id: str
    merchant_id: str
    merchant_name: str
    tariff_group: str


def till_for(purchase: Purchase, tills: list[Till]) -> Till:
    """A customer always goes to the same till, whatever the run."""
    return tills[purchase.customer % len(tills)]
