"""The Segment tracking API: calls of libraries that others wrote, as touchpoints."""
