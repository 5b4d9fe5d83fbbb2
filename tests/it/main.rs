mod certs_example;
