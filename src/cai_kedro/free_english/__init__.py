"""Free English: requests and pairs of replies that people's hands wrote, to measure with and never to learn from."""
