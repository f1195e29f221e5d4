"""Which field of a sale a table's column means: the guess from its name, its corrections, and what must not be missing."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _

#: Field -> column names that mean it, most telling first, compared without case, spaces and signs.
SYNONYMS: dict[str, tuple[str, ...]] = {
    field: tuple(names.split())
    for field, names in {
        "sale_id": """
            saleid salesid salenumber salelineid lineid orderlineid lineitemid transactionlineid orderitemid
            numberoftheline nummerderzeile númerodelalínea رقمالسطر
        """,
        "order_id": """
            orderid ordernumber orderno salesorderid invoiceno invoicenumber invoiceid invoice basketid
            transactionid transactionno receiptid receiptno receipt ticketid order basket transaction
            belegnummer bestellnummer bestellnr auftragsnummer rechnungsnummer bonnummer bestellung rechnung
            belegnr rechnungsnr auftragsnr bonnr beleg bon nopedido
            númerodepedido numerodepedido nodepedido pedido factura ticket رقمالطلب رقمالفاتورة
            الطلب الفاتورة
        """,
        "sold_at": """
            soldat timeofsale verkauftam zeitpunktdesverkaufs vendidoel momentodelaventa ts timestamp
            transactiontimestamp datetime invoicedate orderdate orderedat orderpurchasetimestamp
            transactiondate purchasedate saledate salesdate createdat date time zeitpunkt bestelldatum
            rechnungsdatum belegdatum datum fechayhora fecha وقتالبيع التاريخوالوقت تاريخالطلب التاريخ
        """,
        "customer_id": """
            customerid customerno customernumber clientid householdid memberid userid buyerid customer
            client household kundennummer kundennr kunde cliente رقمالعميل العميل
        """,
        "product_id": """
            productid productnumber stockcode sku itemid articleid articleno productcode productno upc ean
            gtin asin item article artikelnummer artikelnr artnr produktnummer númerodeproducto رقمالمنتج
            codigodeproducto código codigo رمزالمنتج product artikel produkt producto artículo articulo
            المنتج
        """,
        "product": """
            product productname itemname description productdescription itemdescription producttitle title
            name producttype articlename artikelname bezeichnung artikel produkt descripción descripcion
            producto artículo اسمالمنتج الوصف المنتج
        """,
        "category": """
            category productcategory department categoryname section family subcategory kategorie
            warengruppe abteilung categoría categoria departamento الفئة القسم
        """,
        "region": "region state province area county territory bundesland gebiet región provincia المنطقة",
        "country": "country countrycode shipcountry market land país pais البلد الدولة",
        "channel": "channel saleschannel orderchannel platform source segment vertriebskanal kanal canal القناة",
        "store": """
            store storeid shop shopid branch branchid outlet location storename filiale markt tienda
            sucursal المتجر الفرع
        """,
        "quantity": """
            quantity qty units unitssold orderquantity quantityordered pieces menge anzahl stück stueck
            stückzahl cantidad unidades الكمية
        """,
        "unit_price": """
            unitprice price priceeach itemprice sellingprice saleprice einzelpreis stückpreis preis
            preciounitario precio سعرالوحدة السعر
        """,
        "discount": "discount discountamount retaildisc rebate rabatt descuento الخصم",
        "amount": """
            amount amountoftheline betragderzeile importedelalínea مبلغالسطر salesvalue linetotal lineamount
            netamount totalprice extendedprice netsales totalamount revenue sales total gesamtpreis nettobetrag betrag
            umsatz summe importe ingresos ventas الإيرادات المبلغ الإجمالي
        """,
        "cost": "cost linecost totalcost cogs einkaufswert kosten coste costo التكلفة",
        "currency": "currency currencycode währung waehrung moneda divisa العملة",
    }.items()
}

FIELDS: tuple[str, ...] = tuple(SYNONYMS)
#: Fields that every file must have; beside them 'unit_price' or 'amount'.
REQUIRED = ("order_id", "sold_at", "product_id", "quantity")


def guess(columns: Sequence[str]) -> dict[str, str]:
    """Field -> column, for every field that a column's name speaks for; each column serves one field.

    >>> guess(["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice"])["product_id"]
    'StockCode'
    """
    free = {_plain(column): column for column in reversed(columns)}
    found: dict[str, str] = {}
    for field, names in SYNONYMS.items():
        name = next((name for name in names if name in free), None)
        if name is not None:
            found[field] = free.pop(name)
    return found


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


def corrected(guessed: Mapping[str, str], corrections: Mapping[str, str], columns: Sequence[str]) -> dict[str, str]:
    """The guess with `corrections` (field -> column, '' for none) put in.

    Raises:
        InvalidInput: an unknown field or column; names the known ones.
    """
    by_name = {_plain(column): column for column in reversed(columns)} | {column: column for column in columns}
    mapping = dict(guessed)
    for field, column in corrections.items():
        if field not in FIELDS:
            raise InvalidInput(
                _("There is no field {name}; known are {known}.", name=field[:100], known=", ".join(FIELDS))
            )
        if not column:
            mapping.pop(field, None)
            continue
        actual = by_name.get(column) or by_name.get(_plain(column))
        if actual is None:
            raise InvalidInput(
                _("The file has no column {name}; it has {known}.", name=column[:100], known=", ".join(columns[:50]))
            )
        # A column that is named for one field is taken from the field that it was guessed for
        mapping = {key: value for key, value in mapping.items() if value != actual or key in corrections}
        mapping[field] = actual
    return {field: mapping[field] for field in FIELDS if field in mapping}


def missing(mapping: Mapping[str, str]) -> tuple[str, ...]:
    """Required fields that no column, or '', is mapped to; empty when the file can be imported.

    'unit_price' stands for itself or 'amount', of which one must be there.
    """
    lacking = [field for field in REQUIRED if not mapping.get(field)]
    if not mapping.get("unit_price") and not mapping.get("amount"):
        lacking.append("unit_price")
    return tuple(lacking)
