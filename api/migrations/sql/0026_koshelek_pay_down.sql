DROP TABLE koshelek_pay_postbacks, koshelek_pay_receipts, koshelek_pay_refunds, koshelek_pay_payments,
    koshelek_pay_partners;
