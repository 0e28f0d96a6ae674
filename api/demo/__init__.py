"""The demo: real purchases, from the QR code to balanced books. See README.md."""
