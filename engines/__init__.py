"""The outside, behind protocols: speech, language, object stores, audio; adapters translate their vendors' errors."""
