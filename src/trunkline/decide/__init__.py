"""Which mix of managed, self-hosted and customer-VPC models to run, and what would change that.

Pure: needs, figures with their sources, and measured load curves in, a recommendation out. It draws
lots from a seed that it is given; it reads no clock and opens no connection.
"""
