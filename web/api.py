"""The API for programs, `/api/v1`: JSON documents with stable keys, errors as problem+json."""

from fastapi import APIRouter

from web import api_calls, api_customers, api_reasons, api_reference, api_reviews, api_users, api_work

router = APIRouter()
for part in (api_calls, api_reviews, api_customers, api_reasons, api_work, api_users, api_reference):
    router.routes.extend(part.router.routes)
