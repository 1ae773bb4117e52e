"""One small file a vendor, and the embedded engines that need no key and no download."""
