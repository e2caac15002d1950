"""Tests of web/webhooks/."""
