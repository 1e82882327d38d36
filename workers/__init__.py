"""Celery: the app, one thin task per step, the steps, the sweep."""
